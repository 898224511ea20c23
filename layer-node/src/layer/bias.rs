//! The bias: one number per channel. This one implementation serves as a layer and at the end of a weight layer.

use super::held::{Held, Sum};
use super::{Layer, Pass};
use crate::optim::Parameter;
use crate::settings::Settings;
use crate::state::named::State;
use proto::microbatch::MicrobatchId;
use proto::spec::optimizer::Method;
use tch::{TchError, Tensor};

/// One number per channel, added to `(N, C)` or `(N, C, H, W)`. Its gradient is summed in its own number format.
pub struct Bias {
    parameter: Parameter,
    method: Method,
    sum: Sum,
}

impl Bias {
    /// A bias of zeros.
    pub fn new(channels: u64, settings: &Settings) -> Result<Self, TchError> {
        let value = Tensor::f_zeros([channels as i64], (settings.trained(), settings.device))?;
        let method = settings.optimizer.method;
        Ok(Self { parameter: Parameter::new(value, &method, false)?, method, sum: Sum::default() })
    }

    /// y + b
    pub fn forward(&self, y: &Tensor) -> Result<Tensor, TchError> {
        let mut shape = vec![1; y.dim()];
        shape[1] = -1;
        y.f_add(&self.parameter.value.f_to_kind(y.kind())?.f_view(shape.as_slice())?)
    }

    /// Adds the error's sum over samples and positions. The order of a sum, and so its bits, follow the memory order, which
    /// is settled.
    pub fn gradient(&mut self, error: &Tensor) -> Result<(), TchError> {
        let dims: Vec<i64> = (0..error.dim() as i64).filter(|dim| *dim != 1).collect();
        let kind = self.parameter.value.kind();
        self.sum.add(error.f_sum_dim_intlist(dims.as_slice(), false, kind)?)
    }

    /// Steps along the gathered gradient.
    pub fn update(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        self.sum.unscale(settings.loss_scale)?;
        match self.sum.take() {
            Some(gradient) => self.parameter.step(&settings.optimizer, updates, &gradient),
            None => Ok(()),
        }
    }

    /// Drops the gathered gradient.
    pub fn abandon(&mut self) {
        self.sum.take();
    }

    /// Shows the bias under `name`.
    pub fn state<'a>(&'a mut self, name: &str, state: &mut State<'a>) {
        state.parameter(name, &mut self.parameter, &self.method);
    }
}

/// A bias as its own layer.
pub struct BiasLayer {
    name: String,
    bias: Bias,
    held: Held<Tensor>,
}

impl BiasLayer {
    /// A layer with a bias of zeros.
    pub fn new(name: String, channels: u64, settings: &Settings) -> Result<Self, TchError> {
        Ok(Self { name, bias: Bias::new(channels, settings)?, held: Held::default() })
    }
}

impl Layer for BiasLayer {
    fn forward(&mut self, _m: MicrobatchId, inputs: Vec<Tensor>, _pass: Pass) -> Result<Tensor, TchError> {
        self.bias.forward(&inputs[0])
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, _needed: bool) -> Result<Vec<Tensor>, TchError> {
        self.held.put(m, error.shallow_clone());
        Ok(vec![error])
    }

    fn gradient(&mut self, m: MicrobatchId, _minibatch: u32) -> Result<(), TchError> {
        let error = self.held.take(m)?;
        self.bias.gradient(&error)
    }

    fn update(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        self.bias.update(settings, updates)
    }

    fn abandon(&mut self) {
        self.held.clear();
        self.bias.abandon();
    }

    fn state<'a>(&'a mut self, state: &mut State<'a>) {
        self.bias.state(&format!("{}.bias", self.name), state);
    }
}
