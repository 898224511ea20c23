//! The backward half of a weight layer: the weights B that carry the error back, and the training of B.

use super::fixed::{Fixed, NO_STEPS};
use super::held::Sum;
use super::matrix::Matrix;
use super::shown::{MirrorStep, Shown};
use crate::comparison::Comparison;
use crate::init;
use crate::linear_map::LinearMap;
use crate::rule::{self, AtUpdate, Feedback, Given, ReadLog, Seen};
use crate::settings::Settings;
use crate::state::named::State;
use proto::spec::graph::{Init, LayerSpec};
use proto::spec::optimizer::{Method, OptimizerSpec, Schedule};
use proto::spec::reads::Reads;
use proto::spec::rule::{Alignment, Mirror, Noise, Product, RuleSpec};
use tch::{TchError, Tensor};

/// Backward weights B, and the rule that trains them; under product feedback alignment the fixed B and the trained R. Functions that take W as `weight` get it where W is on this host;
/// a rule that reads W never trains B on another host.
pub struct Backward {
    name: String,
    map: LinearMap,
    /// The shape and the distribution of M in sign symmetry.
    drawn: (Vec<u64>, Init),
    /// The matrix B, or R under product feedback alignment; `None` under backprop, where B is W itself and is neither drawn
    /// nor stored.
    matrix: Option<Matrix>,
    /// The fixed B of product feedback alignment.
    fixed: Option<Fixed>,
    method: Method,
    feedback: Feedback,
    alignment: Alignment,
    gathered: Sum,
    /// The part of the last update that B has kept for later.
    owed: Option<Owed>,
    /// The values from which B was updated.
    log: ReadLog,
}

/// What B's part of an update needs from the moment at which W steps. The gathered values stay where they are.
enum Owed {
    /// B's gradient, computed by a rule that reads W, or none.
    Gradient(Option<Tensor>),
    /// W's task gradient if it is part of B's: a rule that does not read W computes B's gradient later.
    Task(Option<Tensor>),
}

impl Backward {
    /// B for the layer `spec`, of the `shape` of its W, drawn from the seed.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn new(
        spec: &LayerSpec,
        map: LinearMap,
        shape: Vec<u64>,
        init: Init,
        settings: &Settings,
    ) -> Result<Self, TchError> {
        let feedback = Feedback::new(&spec.rule);
        let (alignment, method) = match &spec.rule {
            RuleSpec::Learned { alignment, .. } => (alignment.clone(), settings.optimizer_backward.method),
            RuleSpec::Product(Product { schedule, .. }) => {
                let alignment = Alignment { schedule: schedule.clone(), ..Alignment::default() };
                (alignment, settings.optimizer_backward.method)
            }
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => (Alignment::default(), NO_STEPS),
        };
        let product = spec.rule.product();
        let fixed =
            product.map(|product| Fixed::new(&spec.name, product, &shape, map, settings)).transpose()?;
        let shape = product.map_or(shape.clone(), |product| product.trained(&shape));
        let matrix = match feedback {
            Feedback::Transport => None,
            Feedback::Signs(_) | Feedback::Local(_) | Feedback::ReadsWeight(_) => {
                // The stream of W draws the numbers of W, also where W is on another host.
                let stream = if settings.backward_is_weight { "weight" } else { "weight_backward" };
                let drawn = init::draw(settings, &spec.name, stream, &shape, init)?;
                Some(Matrix::new(drawn, &method, settings.kind)?)
            }
        };
        Ok(Self {
            name: spec.name.clone(),
            map,
            drawn: (shape, init),
            matrix,
            fixed,
            method,
            feedback,
            alignment,
            gathered: Sum::default(),
            owed: None,
            log: ReadLog::default(),
        })
    }

    /// B, or R; `None` if B is W itself.
    pub fn matrix(&self) -> Option<&Tensor> {
        self.matrix.as_ref().map(Matrix::value)
    }

    /// B, or R, in the number format of the computation; `None` if B is W itself.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn factor(&self) -> Result<Option<&Tensor>, TchError> {
        self.matrix.as_ref().map(Matrix::factor).transpose()
    }

    /// The factor that carries the error to x: B, or R, or else `weight`, which is W. All are in the number format of the
    /// computation.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn carrier<'a>(&'a self, weight: &'a Tensor) -> Result<&'a Tensor, TchError> {
        Ok(self.factor()?.unwrap_or_else(|| {
            self.log.transported();
            weight
        }))
    }

    /// The error behind the fixed B, from the `error` at y; `None` where there is no fixed B.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn carry(&self, error: &Tensor) -> Result<Option<Tensor>, TchError> {
        self.fixed.as_ref().map(|fixed| fixed.carry(error)).transpose()
    }

    /// The output for `x` through B, or through B·R; `None` if B is W itself.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn output(&self, x: &Tensor) -> Result<Option<Tensor>, TchError> {
        let Some(matrix) = self.factor()? else { return Ok(None) };
        let y = self.map.forward(x, matrix)?;
        Ok(Some(match &self.fixed {
            Some(fixed) => fixed.forward(&y)?,
            None => y,
        }))
    }

    /// `weight`, which is W, compared with B or with B·R.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn compared(&self, weight: &Tensor) -> Result<Comparison, TchError> {
        let backward = self.matrix().unwrap_or(weight);
        match &self.fixed {
            Some(fixed) => Comparison::of_product(weight, fixed.value(), backward),
            None => Comparison::of(weight, backward),
        }
    }

    /// The task gradient of one microbatch that is part of B's, from the layer's `x` and the `error` at its y, or from the
    /// one behind the fixed B; `None` if there is none.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn task(&self, x: &Tensor, error: &Tensor) -> Result<Option<Tensor>, TchError> {
        let matrix = self.matrix.as_ref().filter(|_| self.uses_task());
        matrix.map(|matrix| matrix.gradient(self.map, x, error)).transpose()
    }

    /// The values from which B was updated so far.
    pub fn reads(&self) -> Reads {
        self.log.read()
    }

    /// Whether W's task gradient is part of B's.
    pub fn uses_task(&self) -> bool {
        self.feedback.uses_task()
    }

    /// Adds a microbatch to B's gradient, from the values that the layer shows of it and the error at its y. The error may
    /// be missing where it does not leave W's host.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn gather(&mut self, shown: &Shown, error: Option<&Tensor>, minibatch: u32) -> Result<(), TchError> {
        let part = self.of_samples(shown, error, minibatch)?;
        part.map_or(Ok(()), |part| self.gathered.add(part))
    }

    fn of_samples(
        &self,
        Shown { x, y }: &Shown,
        error: Option<&Tensor>,
        minibatch: u32,
    ) -> Result<Option<Tensor>, TchError> {
        let (Some(backward), Some(x)) = (self.factor()?, x) else { return Ok(None) };
        let given = Given { map: self.map, x, y: y.as_ref(), error, backward, minibatch };
        self.feedback.microbatch(&Seen::new(given, &self.log))
    }

    /// The gradient of B's loss: the samples' part and the part added once, times `factor`.
    fn of_loss(
        &self,
        samples: Option<Tensor>,
        weight: Option<&Tensor>,
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
    pub fn gradient(
        &self,
        weight: Option<&Tensor>,
        task: Option<&Tensor>,
        updates: u64,
    ) -> Result<Option<Tensor>, TchError> {
        let task = task.filter(|_| self.feedback.uses_task()).map(|task| {
            self.log.task();
            if self.fixed.is_some() {
                self.log.carried();
            }
            task.shallow_clone()
        });
        if self.alignment.mirror.is_some() {
            return Ok(task);
        }
        let gathered = self.gathered.get().map(Tensor::shallow_clone);
        rule::sum(task, self.of_loss(gathered, weight, self.alignment.schedule.factor(updates))?)
    }

    /// Keeps what B's part of the update after `updates` needs of W, which is about to step along its `task` gradient.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn keep(&mut self, weight: &Tensor, task: Option<&Tensor>, updates: u64) -> Result<(), TchError> {
        if self.matrix.is_none() {
            return Ok(());
        }
        self.owed = Some(match task {
            None => Owed::Gradient(None),
            Some(_) if self.feedback.reads_weight() => {
                Owed::Gradient(self.gradient(Some(weight), task, updates)?)
            }
            Some(task) => Owed::Task(self.uses_task().then(|| task.shallow_clone())),
        });
        Ok(())
    }

    /// Whether B has kept its part of the last update.
    pub fn owes(&self) -> bool {
        self.owed.is_some()
    }

    /// Makes the step that B owes of the update after `updates`; `false` if B owes none.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn pay(&mut self, settings: &Settings, updates: u64) -> Result<bool, TchError> {
        let gradient = match self.owed.take() {
            None => return Ok(false),
            Some(Owed::Gradient(gradient)) => gradient,
            Some(Owed::Task(task)) => self.gradient(None, task.as_ref(), updates)?,
        };
        self.update(gradient, settings, updates)?;
        Ok(true)
    }

    /// Steps along `gradient`, after `updates` finished updates.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn update(
        &mut self,
        gradient: Option<Tensor>,
        settings: &Settings,
        updates: u64,
    ) -> Result<(), TchError> {
        self.gathered.take();
        self.step(gradient, settings, updates, "update_noise")
    }

    /// Makes the mirror step `step` from the values that the layer shows of its noise.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn mirror(
        &mut self,
        step: MirrorStep,
        noise: &Shown,
        weight: Option<&Tensor>,
        settings: &Settings,
    ) -> Result<(), TchError> {
        let Some(Mirror { batch, .. }) = self.alignment.mirror else { return Ok(()) };
        let samples = self.of_samples(noise, None, batch)?;
        let stream = format!("{}_update_noise", step.stream());
        match step {
            MirrorStep::AfterUpdate(updates) => {
                let gradient = self.of_loss(samples, weight, self.alignment.schedule.factor(updates))?;
                self.step(gradient, settings, updates, &stream)
            }
            MirrorStep::Delay(done) => {
                let gradient = self.of_loss(samples, weight, 1.0)?;
                // Schedules count updates, and no update is finished yet.
                let [schedule, weight_decay_schedule] = [Schedule::default(), Schedule::default()];
                let full =
                    OptimizerSpec { schedule, weight_decay_schedule, ..settings.optimizer_backward.clone() };
                let settings = Settings { optimizer_backward: full, ..settings.clone() };
                self.step(gradient, &settings, done, &stream)
            }
        }
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
        let noise = rule::draw_noise(settings, &parts, &matrix.value().size(), Noise::Normal, sigma)?;
        matrix.add(&noise, spec.lr * spec.schedule.factor(count))
    }

    /// Sets B from the W after `updates`, under sign symmetry.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn follow_signs(
        &mut self,
        weight: &Tensor,
        settings: &Settings,
        updates: u64,
    ) -> Result<(), TchError> {
        let (Feedback::Signs(magnitude), Some(matrix)) = (&self.feedback, &mut self.matrix) else {
            return Ok(());
        };
        let (shape, init) = &self.drawn;
        let stream = format!("magnitude {updates}");
        let drawn = || init::draw(settings, &self.name, &stream, shape, *init);
        let seen = AtUpdate::new(matrix.value(), weight, &self.log);
        matrix.set(rule::signs_of(*magnitude, &seen, drawn)?);
        Ok(())
    }

    /// Drops the gathered parts of an unfinished minibatch, and what is left of a torn update.
    pub fn abandon(&mut self) {
        self.gathered.take();
        self.owed = None;
    }

    /// Shows B, or R and B, and the optimizer's state.
    pub fn state<'a>(&'a mut self, state: &mut State<'a>) {
        if let Some(matrix) = &mut self.matrix {
            matrix.state(&format!("{}.weight_backward", self.name), &self.method, state);
        }
        if let Some(fixed) = &mut self.fixed {
            fixed.state(state);
        }
    }
}
