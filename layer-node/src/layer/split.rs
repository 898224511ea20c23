//! The B of a weight layer whose W is on another host: it carries the error back, and learns from the values that W's host
//! sends.

use super::backward::Backward;
use super::held::{Held, Sum};
use super::shown::{MirrorStep, Show, Shown};
use super::weight_op::WeightOp;
use crate::linear_map::LinearMap;
use crate::settings::Settings;
use crate::state::named::State;
use proto::ledger::LayerReads;
use proto::microbatch::MicrobatchId;
use proto::spec::graph::LayerSpec;
use tch::{TchError, Tensor};

/// The backward half of a weight layer.
pub struct SplitLayer {
    name: String,
    map: LinearMap,
    /// The shape of one sample that enters the layer.
    input: Vec<i64>,
    backward: Backward,
    show: Show,
    held: Held<Saved>,
    task: Sum,
    /// Whether a microbatch has been gathered since the last update.
    gathered: bool,
}

/// The values that are kept of a microbatch until G.
#[derive(Default)]
struct Saved {
    shown: Shown,
    /// The error at the output, or that behind the fixed B, where the training of B needs it.
    error: Option<Tensor>,
}

impl SplitLayer {
    /// The backward half of the layer `spec` for inputs of shape `x` (one sample). B is drawn from the seed.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn new(spec: &LayerSpec, x: &[u64], settings: &Settings) -> Result<Self, TchError> {
        let WeightOp { map, init, shape, .. } = WeightOp::of(spec, x, settings.layout)?;
        Ok(Self {
            name: spec.name.clone(),
            map,
            input: x.iter().map(|&size| size as i64).collect(),
            backward: Backward::new(spec, map, shape, init, settings)?,
            show: Show::new(spec, map, x),
            held: Held::default(),
            task: Sum::default(),
            gathered: false,
        })
    }

    /// The layer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins microbatch `m` with the values that W's host shows of it.
    pub fn begin(&mut self, m: MicrobatchId, shown: Shown) {
        self.held.put(m, Saved { shown, error: None });
    }

    /// Takes the error at y of microbatch `m`, and carries it to x if it is `needed` there.
    ///
    /// # Errors
    /// When a torch operation fails, or `m` has not begun.
    pub fn error(
        &mut self,
        m: MicrobatchId,
        error: Tensor,
        needed: bool,
    ) -> Result<Option<Tensor>, TchError> {
        let (saved, backward) = (self.held.get(m)?, self.backward.factor()?);
        let error = self.backward.carry(&error)?.unwrap_or(error);
        let carried = match (needed, backward) {
            (true, Some(backward)) => {
                // Only the shape of x decides where the error goes; the rule may have no use for x itself.
                let shape = [&error.size()[..1], &self.input].concat();
                let x = match &saved.shown.x {
                    Some(x) => x.shallow_clone(),
                    None => self.map.unread(&shape, (error.kind(), error.device()))?,
                };
                Some(self.map.adjoint(&error, backward, &x)?)
            }
            (true, None) | (false, _) => None,
        };
        saved.error = self.backward.uses_task().then_some(error);
        Ok(carried)
    }

    /// Adds microbatch `m` of a minibatch of `minibatch` samples to B's gradient, and releases the microbatch.
    ///
    /// # Errors
    /// When a torch operation fails, or a value of `m` has not come.
    pub fn gradient(&mut self, m: MicrobatchId, minibatch: u32) -> Result<(), TchError> {
        let Saved { shown, error } = self.held.take(m)?;
        self.gathered = true;
        if let Some(seen) = self.show.received(&shown)? {
            self.backward.gather(&seen, error.as_ref(), minibatch)?;
        }
        let (Some(x), Some(error)) = (&shown.x, &error) else { return Ok(()) };
        let task = self.backward.task(x, error)?;
        task.map_or(Ok(()), |task| self.task.add(task))
    }

    /// Steps B along its gathered gradient, after `updates` finished updates.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn update(&mut self, settings: &Settings, updates: u64) -> Result<(), TchError> {
        self.task.unscale(settings.loss_scale)?;
        let task = self.task.take();
        let gradient = match std::mem::take(&mut self.gathered) {
            true => self.backward.gradient(None, task.as_ref(), updates)?,
            false => None,
        };
        self.backward.update(gradient, settings, updates)
    }

    /// Whether W's host sends noise for the mirror step `step`.
    pub fn is_due(&self, step: MirrorStep) -> bool {
        self.show.is_due(step)
    }

    /// Makes the mirror step `step` from the values of its noise.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn mirror(&mut self, step: MirrorStep, noise: &Shown, settings: &Settings) -> Result<(), TchError> {
        self.backward.mirror(step, noise, None, settings)
    }

    /// Drops the kept and gathered values of an unfinished minibatch.
    pub fn abandon(&mut self) {
        self.held.clear();
        self.task.take();
        self.gathered = false;
        self.backward.abandon();
    }

    /// Shows B and its optimizer's state.
    pub fn state<'a>(&'a mut self, state: &mut State<'a>) {
        self.backward.state(state);
    }

    /// The values from which B was updated so far.
    pub fn reads(&self) -> LayerReads {
        LayerReads { layer: self.name.clone(), read: self.backward.reads() }
    }
}
