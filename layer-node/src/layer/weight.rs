//! The weight layer, dense or convolutional: it goes forward through W, and its error goes back through B.

use super::backward::Backward;
use super::bias::Bias;
use super::held::{Held, Sum};
use super::{Layer, Pass};
use crate::init;
use crate::linear_map::LinearMap;
use crate::optim::Parameter;
use crate::settings::Settings;
use crate::state::named::State;
use proto::control::LayerMeasure;
use proto::ledger::LayerReads;
use proto::microbatch::MicrobatchId;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::Method;
use tch::{Kind, TchError, Tensor};

/// Forward weights W, and backward weights B of the same shape.
pub struct WeightLayer {
    name: String,
    map: LinearMap,
    forward: Parameter,
    backward: Backward,
    bias: Option<Bias>,
    method: Method,
    held: Held<Saved>,
    task: Sum,
}

/// The number of elements of W and B that are measured at once.
const MEASURED: i64 = 1 << 20;

/// The values that are kept of a microbatch from F to G.
struct Saved {
    x: Tensor,
    y: Option<Tensor>,
    /// The error at the output; present from E on.
    error: Option<Tensor>,
}

impl WeightLayer {
    /// A layer for inputs of shape `x` (one sample). Its weights are drawn from the seed.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn new(spec: &LayerSpec, x: &[u64], settings: &Settings) -> Result<Self, TchError> {
        let (map, with_bias, init) = match spec.op {
            Op::Conv2d { stride, padding, bias, init, .. } => {
                (LinearMap::Conv { stride: stride.into(), padding: padding.into() }, bias, init)
            }
            Op::Linear { bias, init, .. } => (LinearMap::Dense, bias, init),
            Op::Bias
            | Op::BatchNorm { .. }
            | Op::Relu
            | Op::MaxPool(_)
            | Op::AvgPool(_)
            | Op::Flatten
            | Op::Add => return Err(TchError::Shape(format!("{} keeps no W", spec.name))),
        };
        let shape = spec
            .op
            .weight_shape(x)
            .ok_or_else(|| TchError::Shape(format!("{} takes no {x:?}", spec.name)))?;
        let method = settings.optimizer.method;
        let drawn = init::draw(settings, &spec.name, "weight", &shape, init)?;
        let forward = Parameter::new(drawn, &method, true)?;
        Ok(Self {
            name: spec.name.clone(),
            map,
            backward: Backward::new(spec, map, x, &forward.value, init, settings)?,
            forward,
            bias: if with_bias { Some(Bias::new(shape[0], settings)?) } else { None },
            method,
            held: Held::default(),
            task: Sum::default(),
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
    /// leaves B unchanged, or no gradient of W was gathered.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn backward_gradient(&self, updates: u64) -> Result<Option<Tensor>, TchError> {
        match self.task.get() {
            Some(task) => self.backward.gradient(&self.forward.value, task, updates),
            None => Ok(None),
        }
    }
}

impl Layer for WeightLayer {
    fn forward(&mut self, m: MicrobatchId, inputs: &[&Tensor], pass: Pass) -> Result<Tensor, TchError> {
        let x = inputs[0];
        let y = self.map.forward(x, &self.forward.value)?;
        if pass.keeps() {
            let kept = self.backward.keeps_output().then(|| y.shallow_clone());
            self.held.put(m, Saved { x: x.shallow_clone(), y: kept, error: None });
        }
        match &self.bias {
            Some(bias) => bias.forward(&y),
            None => Ok(y),
        }
    }

    fn error(&mut self, m: MicrobatchId, error: &Tensor, needed: bool) -> Result<Vec<Tensor>, TchError> {
        let saved = self.held.get(m)?;
        saved.error = Some(error.shallow_clone());
        if !needed {
            return Ok(Vec::new());
        }
        let x = saved.x.shallow_clone();
        Ok(vec![self.map.adjoint(error, self.backward.carrier(&self.forward.value), &x)?])
    }

    fn gradient(&mut self, m: MicrobatchId, minibatch: u32) -> Result<(), TchError> {
        let Saved { x, y, error } = self.held.take(m)?;
        let error = error.ok_or_else(|| {
            TchError::Torch(format!("nothing is held of the error of {m}: its E has not run"))
        })?;
        self.backward.gather(&x, y.as_ref(), &error, &self.forward.value, minibatch)?;
        self.task.add(self.map.filter_gradient(&x, &error, &self.forward.value)?)?;
        match &mut self.bias {
            Some(bias) => bias.gradient(&error),
            None => Ok(()),
        }
    }

    fn update(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        // B's gradient comes first, because it reads W as it is before this step.
        let backward_gradient = self.backward_gradient(updates)?;
        if let Some(gradient) = self.task.take() {
            self.forward.step(&settings.optimizer, updates, &gradient)?;
        }
        self.backward.update(backward_gradient, &self.forward.value, settings, updates)?;
        match &mut self.bias {
            Some(bias) => bias.update(settings, updates),
            None => Ok(()),
        }
    }

    fn align(&mut self, settings: &Settings, done: u64) -> Result<(), TchError> {
        self.backward.align(&self.forward.value, settings, done)
    }

    fn abandon(&mut self) {
        self.held.clear();
        self.task.take();
        self.backward.abandon();
        if let Some(bias) = &mut self.bias {
            bias.abandon();
        }
    }

    fn state<'a>(&'a mut self, state: &mut State<'a>) {
        state.parameter(&format!("{}.weight", self.name), &mut self.forward, &self.method);
        self.backward.state(state);
        if let Some(bias) = &mut self.bias {
            bias.state(&format!("{}.bias", self.name), state);
        }
    }

    fn reads(&self) -> Option<LayerReads> {
        Some(LayerReads { layer: self.name.clone(), read: self.backward.reads() })
    }

    fn measure(&self) -> Result<Option<LayerMeasure>, TchError> {
        // The sums go piece by piece: in float64, with its products, a large matrix would outgrow all other kept
        // values.
        let pieces = |matrix: &Tensor| matrix.f_reshape([-1])?.f_split(MEASURED, 0);
        let backward = self.backward.matrix().unwrap_or(&self.forward.value);
        let [mut ww, mut bb, mut wb, mut dd] = [0.0; 4];
        for (w, b) in pieces(&self.forward.value)?.iter().zip(pieces(backward)?) {
            let (w, b) = (w.f_to_kind(Kind::Double)?, b.f_to_kind(Kind::Double)?);
            let difference = w.f_sub(&b)?;
            for (sum, [left, right]) in
                [(&mut ww, [&w, &w]), (&mut bb, [&b, &b]), (&mut wb, [&w, &b]), (&mut dd, [&difference; 2])]
            {
                *sum += left.f_dot(right)?.f_double_value(&[])?;
            }
        }
        let (norm_w, norm_b) = (ww.sqrt(), bb.sqrt());
        let cosine = (wb / (norm_w * norm_b)).clamp(-1.0, 1.0);
        Ok(Some(LayerMeasure {
            name: self.name.clone(),
            angle_deg: if self.backward.matrix().is_some() { cosine.acos().to_degrees() } else { 0.0 },
            norm_ratio: norm_b / norm_w,
            norm: norm_w,
            difference: dd.sqrt(),
        }))
    }
}
