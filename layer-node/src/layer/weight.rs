//! The weight layer, dense or convolutional: it goes forward through W, and its error goes back through B.

use super::backward::Backward;
use super::bias::Bias;
use super::held::{Held, Sum};
use super::matrix::Matrix;
use super::shown::{MirrorStep, Show, Shown};
use super::weight_op::WeightOp;
use super::{Layer, Pass, Signals};
use crate::comparison::Comparison;
use crate::init;
use crate::linear_map::LinearMap;
use crate::settings::Settings;
use crate::state::named::State;
use proto::control::LayerMeasure;
use proto::ledger::LayerReads;
use proto::microbatch::MicrobatchId;
use proto::spec::graph::LayerSpec;
use proto::spec::optimizer::Method;
use tch::{TchError, Tensor};

/// Forward weights W, and backward weights B of the same shape.
pub struct WeightLayer {
    name: String,
    map: LinearMap,
    forward: Matrix,
    /// B; `None` where it is on another host.
    backward: Option<Backward>,
    show: Show,
    bias: Option<Bias>,
    method: Method,
    held: Held<Saved>,
    task: Sum,
    /// The task gradient of R, under product feedback alignment.
    task_of_r: Sum,
}

/// The values that are kept of a microbatch from F to G.
struct Saved {
    x: Tensor,
    y: Option<Tensor>,
    /// The error at the output; present from E on.
    error: Option<Tensor>,
    /// The error behind the fixed B under product feedback alignment; present from E on.
    middle: Option<Tensor>,
}

impl WeightLayer {
    /// A layer for inputs of shape `x` (one sample). Its weights are drawn from the seed.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn new(spec: &LayerSpec, x: &[u64], settings: &Settings) -> Result<Self, TchError> {
        let WeightOp { map, bias, init, shape } = WeightOp::of(spec, x, settings.layout)?;
        let method = settings.optimizer.method;
        let drawn = init::draw(settings, &spec.name, "weight", &shape, init)?;
        let forward = Matrix::new(drawn, &method, settings.kind)?;
        let bias = if bias { Some(Bias::new(shape[0], settings)?) } else { None };
        let backward = match spec.split {
            true => None,
            false => {
                let mut backward = Backward::new(spec, map, shape, init, settings)?;
                backward.follow_signs(forward.value(), settings, 0)?;
                Some(backward)
            }
        };
        Ok(Self {
            name: spec.name.clone(),
            map,
            forward,
            backward,
            show: Show::new(spec, map, x),
            bias,
            method,
            held: Held::default(),
            task: Sum::default(),
            task_of_r: Sum::default(),
        })
    }

    /// How the layer applies a matrix.
    pub fn map(&self) -> LinearMap {
        self.map
    }

    /// The gathered task gradient of W; `None` before the first G.
    pub fn task_gradient(&self) -> Option<&Tensor> {
        self.task.get()
    }

    /// B's whole gradient after `updates`: the gathered part, and the part that is added once. `None` if the rule
    /// leaves B unchanged, no gradient of W was gathered, or B is on another host.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn backward_gradient(&self, updates: u64) -> Result<Option<Tensor>, TchError> {
        match (&self.backward, self.task_of_r.get().or(self.task.get())) {
            (Some(backward), task @ Some(_)) => backward.gradient(Some(self.forward.value()), task, updates),
            (None, _) | (_, None) => Ok(None),
        }
    }

    /// Makes the mirror step `step` if it is due and B is on this host.
    fn mirror(&mut self, step: MirrorStep, settings: &Settings) -> Result<(), TchError> {
        let Some(backward) = &mut self.backward else { return Ok(()) };
        match self.show.noise(step, self.forward.factor()?, settings)? {
            Some(noise) => backward.mirror(step, &noise, Some(self.forward.value()), settings),
            None => Ok(()),
        }
    }
}

impl Layer for WeightLayer {
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError> {
        let x = &inputs[0];
        let y = self.map.forward(x, self.forward.factor()?)?;
        if pass.keeps() {
            let kept = self.show.keeps_output().then(|| y.shallow_clone());
            self.held.put(m, Saved { x: x.shallow_clone(), y: kept, error: None, middle: None });
        }
        match &self.bias {
            Some(bias) => bias.forward(&y),
            None => Ok(y),
        }
    }

    fn show(&mut self, m: MicrobatchId) -> Result<Shown, TchError> {
        let saved = self.held.get(m)?;
        let y = saved.y.take();
        self.show.sample_to_send(&saved.x, y.as_ref(), self.forward.factor()?)
    }

    fn error(&mut self, m: MicrobatchId, error: Tensor, needed: bool) -> Result<Vec<Tensor>, TchError> {
        let saved = self.held.get(m)?;
        saved.error = Some(error.shallow_clone());
        let Some(backward) = &self.backward else { return Ok(Vec::new()) };
        saved.middle = backward.carry(&error)?;
        if !needed {
            return Ok(Vec::new());
        }
        let (carrier, error) =
            (backward.carrier(self.forward.factor()?)?, saved.middle.as_ref().unwrap_or(&error));
        Ok(vec![self.map.adjoint(error, carrier, &saved.x)?])
    }

    fn signals(&mut self, m: MicrobatchId, carried: Option<&Tensor>) -> Result<Option<Signals>, TchError> {
        let Some(backward) = &self.backward else { return Ok(None) };
        let (weight, map) = (self.forward.factor()?, self.map);
        let Saved { x, y, error, .. } = self.held.get(m)?;
        let Some(through) = backward.output(x)? else {
            return Ok(Some(Signals::of_transport(carried.is_some())));
        };
        let output_deg = Signals::outputs(map, x, y.as_ref(), weight, &through)?;
        let error_deg = match (error, carried) {
            (Some(error), Some(carried)) => Signals::errors(map, x, error, weight, carried)?,
            (None, _) | (_, None) => f64::NAN,
        };
        Ok(Some(Signals { output_deg, error_deg }))
    }

    fn gradient(&mut self, m: MicrobatchId, minibatch: u32) -> Result<(), TchError> {
        let Saved { x, y, error, middle } = self.held.take(m)?;
        let error = error.ok_or_else(|| {
            TchError::Torch(format!("nothing is held of the error of {m}: its E has not run"))
        })?;
        if let Some(backward) = &mut self.backward
            && let Some(shown) = self.show.sample(&x, y.as_ref(), self.forward.factor()?)?
        {
            backward.gather(&shown, Some(&error), minibatch)?;
        }
        if let (Some(backward), Some(middle)) = (&self.backward, &middle)
            && let Some(task) = backward.task(&x, middle)?
        {
            self.task_of_r.add(task)?;
        }
        self.task.add(self.forward.gradient(self.map, &x, &error)?)?;
        match &mut self.bias {
            Some(bias) => bias.gradient(&error),
            None => Ok(()),
        }
    }

    fn update(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        self.task.unscale(settings.loss_scale)?;
        self.task_of_r.unscale(settings.loss_scale)?;
        let (task, of_r) = (self.task.take(), self.task_of_r.take());
        if let Some(backward) = &mut self.backward {
            // This comes first, because a rule may read W as it is before this step.
            backward.keep(self.forward.value(), of_r.as_ref().or(task.as_ref()), updates)?;
        }
        if let Some(gradient) = task {
            self.forward.step(&settings.optimizer, updates, &gradient)?;
        }
        match &mut self.bias {
            Some(bias) => bias.update(settings, updates),
            None => Ok(()),
        }
    }

    fn owes(&self) -> bool {
        self.backward.as_ref().is_some_and(Backward::owes)
    }

    fn follow(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        let Some(backward) = &mut self.backward else { return Ok(()) };
        if !backward.pay(settings, updates)? {
            return Ok(());
        }
        backward.follow_signs(self.forward.value(), settings, updates + 1)?;
        self.mirror(MirrorStep::AfterUpdate(updates), settings)
    }

    fn align(&mut self, settings: &Settings, done: u64) -> Result<(), TchError> {
        self.mirror(MirrorStep::Delay(done), settings)
    }

    fn noise(&self, settings: &Settings, step: MirrorStep) -> Result<Option<Shown>, TchError> {
        self.show.noise(step, self.forward.factor()?, settings)
    }

    fn abandon(&mut self) {
        self.held.clear();
        self.task.take();
        self.task_of_r.take();
        if let Some(backward) = &mut self.backward {
            backward.abandon();
        }
        if let Some(bias) = &mut self.bias {
            bias.abandon();
        }
    }

    fn begun(&mut self, settings: &Settings) -> Result<(), TchError> {
        match &mut self.backward {
            Some(backward) => backward.follow_signs(self.forward.value(), settings, 0),
            None => Ok(()),
        }
    }

    fn state<'a>(&'a mut self, state: &mut State<'a>) {
        self.forward.state(&format!("{}.weight", self.name), &self.method, state);
        if let Some(backward) = &mut self.backward {
            backward.state(state);
        }
        if let Some(bias) = &mut self.bias {
            bias.state(&format!("{}.bias", self.name), state);
        }
    }

    fn reads(&self) -> Option<LayerReads> {
        let read = self.backward.as_ref()?.reads();
        Some(LayerReads { layer: self.name.clone(), read })
    }

    fn measure(&self) -> Result<Option<LayerMeasure>, TchError> {
        let weight = self.forward.value();
        let found = match &self.backward {
            Some(backward) => backward.compared(weight)?,
            None => Comparison::of(weight, weight)?,
        };
        let measured = LayerMeasure {
            name: self.name.clone(),
            angle_deg: found.angle_deg,
            norm_ratio: found.norm_ratio,
            norm: found.norm,
            difference: found.difference,
            split: false,
            output_angle_deg: f64::NAN,
            error_angle_deg: f64::NAN,
        };
        Ok(Some(match &self.backward {
            None => {
                let [angle_deg, norm_ratio, difference] = [f64::NAN; 3];
                LayerMeasure { angle_deg, norm_ratio, difference, split: true, ..measured }
            }
            // B is W itself, of which rounding makes a small angle.
            Some(backward) if backward.matrix().is_none() => LayerMeasure { angle_deg: 0.0, ..measured },
            Some(_) => measured,
        }))
    }
}
