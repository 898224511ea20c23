//! The backward half of a weight layer: the weights B that carry the error back, and the training of B.

use super::held::Sum;
use crate::init;
use crate::linear_map::LinearMap;
use crate::optim::Parameter;
use crate::rule::{self, AtUpdate, Feedback, Given, ReadLog, Seen};
use crate::settings::Settings;
use crate::state::named::State;
use crate::torch::add_scaled;
use proto::spec::graph::{Init, LayerSpec};
use proto::spec::optimizer::{Method, OptimizerSpec, Schedule};
use proto::spec::reads::Reads;
use proto::spec::rule::{Alignment, Centering, Mirror, Noise, RuleSpec};
use tch::{TchError, Tensor};

/// Backward weights B, and the rule that trains them.
pub struct Backward {
    name: String,
    map: LinearMap,
    /// The shape of one sample that enters the layer.
    input: Vec<i64>,
    /// The shape and the distribution of M in sign symmetry.
    drawn: (Vec<u64>, Init),
    /// The matrix B; `None` under backprop, where B is W itself and is neither drawn nor stored.
    matrix: Option<Parameter>,
    method: Method,
    feedback: Feedback,
    alignment: Alignment,
    keeps_output: bool,
    gathered: Sum,
    /// The values from which B was updated.
    log: ReadLog,
}

impl Backward {
    /// B for the layer `spec` with inputs of shape `x` and forward weights `weight`, drawn from the seed.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn new(
        spec: &LayerSpec,
        map: LinearMap,
        x: &[u64],
        weight: &Tensor,
        init: Init,
        settings: &Settings,
    ) -> Result<Self, TchError> {
        let feedback = Feedback::new(&spec.rule);
        let (alignment, method) = match &spec.rule {
            RuleSpec::Learned { alignment, .. } => (alignment.clone(), settings.optimizer_backward.method),
            // A matrix that takes no steps needs no optimizer state.
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => {
                (Alignment::default(), Method::Sgd { momentum: 0.0, nesterov: false })
            }
        };
        let shape: Vec<u64> = weight.size().iter().map(|&size| size as u64).collect();
        let matrix = match feedback {
            Feedback::Transport => None,
            Feedback::Signs(_) | Feedback::Local(_) | Feedback::ReadsWeight(_) => {
                let drawn = init::draw(settings, &spec.name, "weight_backward", &shape, init)?;
                Some(Parameter::new(drawn, &method, true)?)
            }
        };
        let mut backward = Self {
            name: spec.name.clone(),
            map,
            input: x.iter().map(|&size| size as i64).collect(),
            drawn: (shape, init),
            matrix,
            method,
            feedback,
            alignment,
            keeps_output: spec.rule.keeps_output(),
            gathered: Sum::default(),
            log: ReadLog::default(),
        };
        backward.follow_signs(weight, settings, 0)?;
        Ok(backward)
    }

    /// B; `None` if B is W itself.
    pub fn matrix(&self) -> Option<&Tensor> {
        self.matrix.as_ref().map(|parameter| &parameter.value)
    }

    /// The matrix that carries the error back: B, or else `weight`, which is W.
    pub fn carrier<'a>(&'a self, weight: &'a Tensor) -> &'a Tensor {
        self.matrix().unwrap_or_else(|| {
            self.log.transported();
            weight
        })
    }

    /// The values from which B was updated so far.
    pub fn reads(&self) -> Reads {
        self.log.read()
    }

    /// Whether the layer must keep its y until G.
    pub fn keeps_output(&self) -> bool {
        self.keeps_output
    }

    /// Adds a microbatch to B's gradient. `y` is given if [`Backward::keeps_output`] asked for it.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn gather(
        &mut self,
        x: &Tensor,
        y: Option<&Tensor>,
        error: &Tensor,
        weight: &Tensor,
        minibatch: u32,
    ) -> Result<(), TchError> {
        if self.alignment.mirror.is_some() || !self.feedback.uses_samples() {
            return Ok(());
        }
        let part = match self.alignment.centering {
            Centering::None => self.of_samples(x, y, Some(error), minibatch)?,
            centering => {
                let x = rule::center(centering, x)?;
                let y = self.output(&x, weight)?;
                self.of_samples(&x, y.as_ref(), Some(error), minibatch)?
            }
        };
        part.map_or(Ok(()), |part| self.gathered.add(part))
    }

    /// The layer's y for an x that did not pass through it, if the rule uses y.
    fn output(&self, x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>, TchError> {
        self.feedback.uses_output().then(|| self.map.forward(x, weight)).transpose()
    }

    fn of_samples(
        &self,
        x: &Tensor,
        y: Option<&Tensor>,
        error: Option<&Tensor>,
        minibatch: u32,
    ) -> Result<Option<Tensor>, TchError> {
        let Some(backward) = self.matrix() else { return Ok(None) };
        let given = Given { map: self.map, x, y, error, backward, minibatch };
        self.feedback.microbatch(&Seen::new(given, &self.log))
    }

    /// The gradient of B's loss: the samples' part and the part added once, times `factor`.
    fn of_loss(
        &self,
        samples: Option<Tensor>,
        weight: &Tensor,
        factor: f64,
    ) -> Result<Option<Tensor>, TchError> {
        let Some(backward) = self.matrix() else { return Ok(None) };
        let whole = rule::sum(samples, self.feedback.at_update(backward, weight, &self.log)?)?;
        if factor == 1.0 {
            return Ok(whole);
        }
        whole.map(|whole| whole.f_mul_scalar(factor)).transpose()
    }

    /// B's whole gradient after `updates`, from W, W's task gradient and the gathered parts. `None` if the rule
    /// leaves B unchanged.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn gradient(&self, weight: &Tensor, task: &Tensor, updates: u64) -> Result<Option<Tensor>, TchError> {
        let task = self.feedback.uses_task().then(|| {
            self.log.task();
            task.shallow_clone()
        });
        if self.alignment.mirror.is_some() {
            return Ok(task);
        }
        let gathered = self.gathered.get().map(Tensor::shallow_clone);
        rule::sum(task, self.of_loss(gathered, weight, self.alignment.schedule.factor(updates))?)
    }

    /// Steps along `gradient`. W has stepped to `weight` already, and `updates` updates are finished.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn update(
        &mut self,
        gradient: Option<Tensor>,
        weight: &Tensor,
        settings: &Settings,
        updates: u64,
    ) -> Result<(), TchError> {
        self.gathered.take();
        self.step(gradient, settings, updates, "update_noise")?;
        self.follow_signs(weight, settings, updates + 1)?;
        match self.alignment.mirror {
            Some(mirror) if mirror.every > 0 && (updates + 1).is_multiple_of(mirror.every) => {
                let factor = self.alignment.schedule.factor(updates);
                self.mirror(&mirror, "mirror", weight, settings, updates, factor)
            }
            _ => Ok(()),
        }
    }

    /// Makes the mirror step after `done` others, before the first update. Does nothing if the rule has no mirror
    /// steps, or none are left.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn align(&mut self, weight: &Tensor, settings: &Settings, done: u64) -> Result<(), TchError> {
        match self.alignment.mirror {
            Some(mirror) if done < mirror.delay => {
                // Schedules count updates, and no update is finished yet.
                let full =
                    OptimizerSpec { schedule: Schedule::default(), ..settings.optimizer_backward.clone() };
                let settings = Settings { optimizer_backward: full, ..settings.clone() };
                self.mirror(&mirror, "mirror_delay", weight, &settings, done, 1.0)
            }
            _ => Ok(()),
        }
    }

    fn mirror(
        &mut self,
        mirror: &Mirror,
        stream: &str,
        weight: &Tensor,
        settings: &Settings,
        count: u64,
        factor: f64,
    ) -> Result<(), TchError> {
        let shape = [&[i64::from(mirror.batch)], self.input.as_slice()].concat();
        let parts = [self.name.as_str(), stream, &count.to_string()];
        let noise = rule::draw_noise(settings, &parts, &shape, mirror.noise, mirror.sigma)?;
        let x = rule::center(self.alignment.centering, &noise)?;
        let y = self.output(&x, weight)?;
        let samples = self.of_samples(&x, y.as_ref(), None, mirror.batch)?;
        let gradient = self.of_loss(samples, weight, factor)?;
        self.step(gradient, settings, count, &format!("{stream}_update_noise"))
    }

    /// Makes one step along `gradient`, and adds its noise. Does nothing without a gradient.
    fn step(
        &mut self,
        gradient: Option<Tensor>,
        settings: &Settings,
        count: u64,
        stream: &str,
    ) -> Result<(), TchError> {
        let (Some(matrix), Some(gradient)) = (&mut self.matrix, gradient) else { return Ok(()) };
        let spec = &settings.optimizer_backward;
        matrix.step(spec, count, &gradient)?;
        let sigma = self.alignment.update_noise;
        if sigma == 0.0 {
            return Ok(());
        }
        let parts = [self.name.as_str(), stream, &count.to_string()];
        let noise = rule::draw_noise(settings, &parts, &matrix.value.size(), Noise::Normal, sigma)?;
        add_scaled(&mut matrix.value, &noise, spec.lr * spec.schedule.factor(count))
    }

    /// Sets B from the W after `updates`, under sign symmetry.
    fn follow_signs(&mut self, weight: &Tensor, settings: &Settings, updates: u64) -> Result<(), TchError> {
        let (Feedback::Signs(magnitude), Some(matrix)) = (&self.feedback, &mut self.matrix) else {
            return Ok(());
        };
        let (shape, init) = &self.drawn;
        let stream = format!("magnitude {updates}");
        let drawn = || init::draw(settings, &self.name, &stream, shape, *init);
        let seen = AtUpdate::new(&matrix.value, weight, &self.log);
        matrix.value = rule::signs_of(*magnitude, &seen, drawn)?;
        Ok(())
    }

    /// Drops the gathered parts of an unfinished minibatch.
    pub fn abandon(&mut self) {
        self.gathered.take();
    }

    /// Shows B and its optimizer's state.
    pub fn state<'a>(&'a mut self, state: &mut State<'a>) {
        if let Some(matrix) = &mut self.matrix {
            state.parameter(&format!("{}.weight_backward", self.name), matrix, &self.method);
        }
    }
}
