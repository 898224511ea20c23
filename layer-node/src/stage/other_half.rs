//! The other half of a stage, as the host of W sees it: the backward node, with the B of the layers that are split.

use super::StageError;
use crate::layer::{MirrorStep, Shown};
use proto::failure::Failure;
use tch::Tensor;

/// The backward node of a stage, in one action. Its functions are called in the order of the layers, and in descending
/// order for [`OtherHalf::carry`].
pub trait OtherHalf {
    /// Sends the values that the training of the B of `layer` needs of the microbatch.
    ///
    /// # Errors
    /// When the other half is out of reach.
    fn show(&mut self, layer: &str, shown: Shown) -> Result<(), StageError>;

    /// Sends the error at the y of `layer`, where the other half needs it, and returns the error at its x. `None` where
    /// only the network's input lies below.
    ///
    /// # Errors
    /// When the other half is out of reach, or answers out of turn.
    fn carry(&mut self, layer: &str, error: Tensor) -> Result<Option<Tensor>, StageError>;

    /// Sends the values of a mirror step of `layer`.
    ///
    /// # Errors
    /// When the other half is out of reach.
    fn mirror(&mut self, layer: &str, step: MirrorStep, noise: Shown) -> Result<(), StageError>;
}

/// The other half of a stage that has none: every B is on the host of its W, or the run is an evaluation.
#[derive(Debug)]
pub struct Whole;

impl Whole {
    fn missing<T>(layer: &str) -> Result<T, StageError> {
        let why = format!(
            "the B of '{layer}' is on another host, and the run names no backward node: only an evaluation goes without it"
        );
        Err(StageError::OtherHalf(Failure::refused(why)))
    }
}

impl OtherHalf for Whole {
    fn show(&mut self, layer: &str, _: Shown) -> Result<(), StageError> {
        Self::missing(layer)
    }

    fn carry(&mut self, layer: &str, _: Tensor) -> Result<Option<Tensor>, StageError> {
        Self::missing(layer)
    }

    fn mirror(&mut self, layer: &str, _: MirrorStep, _: Shown) -> Result<(), StageError> {
        Self::missing(layer)
    }
}
