//! Layers: what each computes forward, sends back as error, and gathers as gradient.
//!
//! One layer is one file. The stage calls a layer's functions in the order of its lane; what a layer
//! needs later of a microbatch it keeps itself, from `forward` until its last use.

mod add;
mod backward;
mod batch_norm;
mod bias;
mod flatten;
pub(crate) mod held;
mod pass;
mod pool;
mod relu;
mod weight;

pub use pass::Pass;
pub use weight::WeightLayer;

use crate::settings::Settings;
use crate::state::named::State;
use proto::control::LayerMeasure;
use proto::microbatch::MicrobatchId;
use proto::spec::graph::{LayerSpec, Op};
use tch::{TchError, Tensor};

/// One layer of a stage.
///
/// For a microbatch `m`, `forward`, `error` and `gradient` run in this order; other microbatches may
/// come in between. Tensors are row-major with the microbatch's samples first.
pub trait Layer: Send {
    /// The output for `inputs`; keeps what the later calls need, where `pass` says so.
    ///
    /// # Errors
    /// What torch says; shapes were checked when the stage was configured.
    fn forward(&mut self, m: MicrobatchId, inputs: &[&Tensor], pass: Pass) -> Result<Tensor, TchError>;

    /// The error at every input, from the error at the output; empty where `needed` is false, which
    /// it is when nothing but the network's input lies below.
    ///
    /// # Errors
    /// What torch says.
    fn error(&mut self, m: MicrobatchId, error: &Tensor, needed: bool) -> Result<Vec<Tensor>, TchError>;

    /// Adds microbatch `m` of a minibatch of `minibatch` samples to the layer's own gradients, and
    /// releases it.
    ///
    /// # Errors
    /// What torch says.
    fn gradient(&mut self, _m: MicrobatchId, _minibatch: u32) -> Result<(), TchError> {
        Ok(())
    }

    /// Steps with the gathered gradients, after `updates` finished updates.
    ///
    /// # Errors
    /// What torch says.
    fn update(&mut self, _settings: &Settings, _updates: u64) -> Result<(), TchError> {
        Ok(())
    }

    /// The mirror step after `done` others, before the first update: B may learn from noise of the layer's
    /// own; nothing else moves.
    ///
    /// # Errors
    /// What torch says.
    fn align(&mut self, _settings: &Settings, _done: u64) -> Result<(), TchError> {
        Ok(())
    }

    /// Drops whatever is held and gathered of an unfinished minibatch.
    fn abandon(&mut self) {}

    /// Shows the layer's weights, statistics and optimizer state by name.
    fn state<'a>(&'a mut self, _state: &mut State<'a>) {}

    /// How W and B lie to each other, for layers that have both.
    ///
    /// # Errors
    /// What torch says.
    fn measure(&self) -> Result<Option<LayerMeasure>, TchError> {
        Ok(None)
    }
}

/// Builds a layer for inputs of shape `x` (one sample of its first input), with weights drawn from
/// the seed.
///
/// # Errors
/// When memory or device fail.
pub fn build(spec: &LayerSpec, x: &[u64], settings: &Settings) -> Result<Box<dyn Layer>, TchError> {
    let name = spec.name.clone();
    Ok(match spec.op {
        Op::Conv2d { .. } | Op::Linear { .. } => Box::new(WeightLayer::new(spec, x, settings)?),
        Op::Bias => Box::new(bias::BiasLayer::new(name, x[0], settings)?),
        Op::BatchNorm { eps, momentum, gamma } => {
            Box::new(batch_norm::BatchNorm::new(name, x[0], [eps, momentum, gamma], settings)?)
        }
        Op::Relu => Box::new(relu::Relu::default()),
        Op::MaxPool(window) => Box::new(pool::MaxPool::new(window, x)),
        Op::AvgPool(window) => Box::new(pool::AvgPool::new(window, x)),
        Op::Flatten => Box::new(flatten::Flatten::default()),
        Op::Add => Box::new(add::Add::default()),
    })
}
