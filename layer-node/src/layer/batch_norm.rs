//! The batch norm layer: it normalises each channel over the microbatch and its positions (Ioffe & Szegedy 2015).

use super::held::{Held, Sum};
use super::{Layer, Pass};
use crate::optim::Parameter;
use crate::settings::Settings;
use crate::state::named::State;
use crate::torch;
use proto::microbatch::MicrobatchId;
use proto::spec::optimizer::Method;
use tch::{TchError, Tensor};

/// Scale γ, shift β, and the running statistics, which move once per microbatch. All of them, the statistics of a
/// microbatch and the errors at γ and β are f32 where the computation is in bf16: torch's norm takes both formats.
pub struct BatchNorm {
    name: String,
    eps: f64,
    momentum: f64,
    gamma: Parameter,
    beta: Parameter,
    running_mean: Tensor,
    running_var: Tensor,
    /// The mean and the variance as of the last update, kept once a forward pass of the open step has moved them: an
    /// unfinished minibatch must leave no trace.
    before: Option<[Tensor; 2]>,
    method: Method,
    held: Held<Saved>,
    /// Errors at γ and β. They are computed with the error at x, and wait for their G.
    errors: Held<[Tensor; 2]>,
    sums: [Sum; 2],
}

/// The values that F keeps for E. γ is copied: under lanes without a flush it steps between F and E.
struct Saved {
    x: Tensor,
    gamma: Tensor,
    mean: Tensor,
    inverse_deviation: Tensor,
}

impl BatchNorm {
    /// A norm over `channels` with `[eps, momentum, γ at the start]`.
    pub fn new(
        name: String,
        channels: u64,
        numbers: [f64; 3],
        settings: &Settings,
    ) -> Result<Self, TchError> {
        let [eps, momentum, gamma] = numbers;
        let full =
            |value: f64| Tensor::f_full([channels as i64], value, (settings.trained(), settings.device));
        let method = settings.optimizer.method;
        Ok(Self {
            name,
            eps,
            momentum,
            gamma: Parameter::new(full(gamma)?, &method, false)?,
            beta: Parameter::new(full(0.0)?, &method, false)?,
            running_mean: full(0.0)?,
            running_var: full(1.0)?,
            before: None,
            method,
            held: Held::default(),
            errors: Held::default(),
            sums: Default::default(),
        })
    }
}

impl Layer for BatchNorm {
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        if pass.moves() && self.before.is_none() {
            self.before = Some([torch::copy(&self.running_mean)?, torch::copy(&self.running_var)?]);
        }
        // A replay gets no running statistics, so that they do not move; no other result depends on them.
        let running = [&self.running_mean, &self.running_var].map(|it| (pass != Pass::Replay).then_some(it));
        let (y, mean, inverse_deviation) = inputs[0].f_native_batch_norm(
            Some(&self.gamma.value),
            Some(&self.beta.value),
            running[0],
            running[1],
            pass.trains(),
            self.momentum,
            self.eps,
        )?;
        if pass.keeps() {
            let (x, gamma) = (inputs[0].shallow_clone(), torch::copy(&self.gamma.value)?);
            self.held.put(m, Saved { x, gamma, mean, inverse_deviation });
        }
        Ok(y)
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        let Saved { x, gamma, mean, inverse_deviation } = self.held.take(m)?;
        let [at_x, at_gamma, at_beta] =
            torch::batch_norm_backward(&error, &x, &gamma, &mean, &inverse_deviation, self.eps)?;
        self.errors.put(m, [at_gamma, at_beta]);
        Ok(vec![at_x])
    }

    fn gradient(&mut self, m: MicrobatchId, _minibatch: u32) -> Result<(), TchError> {
        let parts = self.errors.take(m)?;
        self.sums.iter_mut().zip(parts).try_for_each(|(sum, part)| sum.add(part))
    }

    fn update(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        self.before = None;
        for (sum, parameter) in self.sums.iter_mut().zip([&mut self.gamma, &mut self.beta]) {
            sum.unscale(settings.loss_scale)?;
            if let Some(gradient) = sum.take() {
                parameter.step(&settings.optimizer, updates, &gradient)?;
            }
        }
        Ok(())
    }

    fn abandon(&mut self) {
        self.held.clear();
        self.errors.clear();
        self.sums = Default::default();
        if let Some([mean, var]) = self.before.take() {
            (self.running_mean, self.running_var) = (mean, var);
        }
    }

    fn state<'a>(&'a mut self, state: &mut State<'a>) {
        state.parameter(&format!("{}.weight", self.name), &mut self.gamma, &self.method);
        state.parameter(&format!("{}.bias", self.name), &mut self.beta, &self.method);
        state.tensor(format!("{}.running_mean", self.name), &mut self.running_mean);
        state.tensor(format!("{}.running_var", self.name), &mut self.running_var);
    }
}
