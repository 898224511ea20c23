//! Layers: each computes its output forward, sends its error back, and gathers its gradient.
//!
//! Each layer is one file. The stage calls a layer's functions in the order of its lane. A layer keeps the values of
//! a microbatch itself, from `forward` until their last use.

mod add;
mod backward;
mod batch_norm;
mod bias;
mod fixed;
mod flatten;
pub(crate) mod held;
mod matrix;
mod pass;
mod pool;
mod relu;
mod shown;
mod signals;
mod split;
mod weight;
mod weight_op;

pub use pass::Pass;
pub use shown::{MirrorStep, Shown};
pub use signals::Signals;
pub use split::SplitLayer;
pub use weight::WeightLayer;

use crate::settings::Settings;
use crate::state::named::State;
use proto::control::LayerMeasure;
use proto::ledger::LayerReads;
use proto::microbatch::MicrobatchId;
use proto::spec::graph::{LayerSpec, Op};
use tch::{TchError, Tensor};

/// One layer of a stage.
///
/// For a microbatch `m`, `forward`, `error` and `gradient` run in this order; other microbatches may
/// come in between. Tensors have the microbatch's samples first, and the memory order of [`Settings::layout`]. A layer may
/// write into a tensor that it is given if nothing else holds it, as the functions in [`crate::torch`] find out.
pub trait Layer: Send {
    /// The output for `inputs`. Keeps the values that later calls need, if `pass` says so.
    ///
    /// # Errors
    /// When a torch operation fails; shapes were checked when the stage was configured.
    fn forward(&mut self, m: MicrobatchId, inputs: Vec<Tensor>, pass: Pass) -> Result<Tensor, TchError>;

    /// The error at every input, from the error at the output. Empty if `needed` is false, since only the network's input
    /// lies below then, and empty if the layer's B is on another host.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn error(&mut self, m: MicrobatchId, error: Tensor, needed: bool) -> Result<Vec<Tensor>, TchError>;

    /// Compares the signals of W in microbatch `m` with those of B, after `error`, which has `carried` the error to the
    /// input, and before `gradient`. `None` for layers without weights, and where B is on another host. Nothing that the
    /// layer computes later depends on the comparison.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn signals(&mut self, _m: MicrobatchId, _carried: Option<&Tensor>) -> Result<Option<Signals>, TchError> {
        Ok(None)
    }

    /// Adds microbatch `m` of a minibatch of `minibatch` samples to the layer's own gradients, and releases the
    /// microbatch.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn gradient(&mut self, _m: MicrobatchId, _minibatch: u32) -> Result<(), TchError> {
        Ok(())
    }

    /// The first part of the update after `updates` finished updates: everything that a forward pass reads steps along
    /// the gathered gradients. B may keep its part for [`Layer::follow`].
    ///
    /// # Errors
    /// When a torch operation fails.
    fn update(&mut self, _settings: &Settings, _updates: u64) -> Result<(), TchError> {
        Ok(())
    }

    /// Whether B has kept its part of the last update.
    fn owes(&self) -> bool {
        false
    }

    /// The second part of the update after `updates` finished updates: B steps, follows W, and makes a mirror step if one
    /// is due. Forward passes may run between both parts, and nothing else of a microbatch. Does nothing where B owes
    /// nothing.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn follow(&mut self, _settings: &Settings, _updates: u64) -> Result<(), TchError> {
        Ok(())
    }

    /// Makes the mirror step after `done` others, before the first update: B may learn from the layer's own noise,
    /// and no other weight moves.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn align(&mut self, _settings: &Settings, _done: u64) -> Result<(), TchError> {
        Ok(())
    }

    /// Sets what follows from W, after the state was filled from that of another run.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn begun(&mut self, _settings: &Settings) -> Result<(), TchError> {
        Ok(())
    }

    /// The values of microbatch `m` that the training of a B on another host needs, after `forward`.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn show(&mut self, _m: MicrobatchId) -> Result<Shown, TchError> {
        Ok(Shown::default())
    }

    /// The values of the mirror step `step` for a B on another host, after `update` or `align`; `None` if the step is not
    /// due.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn noise(&self, _settings: &Settings, _step: MirrorStep) -> Result<Option<Shown>, TchError> {
        Ok(None)
    }

    /// Drops the kept and gathered values of an unfinished minibatch.
    fn abandon(&mut self) {}

    /// Shows the layer's weights, statistics and optimizer state by name.
    fn state<'a>(&'a mut self, _state: &mut State<'a>) {}

    /// The values from which B was updated so far, for layers that have a B.
    fn reads(&self) -> Option<LayerReads> {
        None
    }

    /// The angle and the norms of W and B, for layers that have both.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn measure(&self) -> Result<Option<LayerMeasure>, TchError> {
        Ok(None)
    }
}

/// Builds a layer for inputs of shape `x` (one sample of its first input), with weights drawn from the seed.
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
