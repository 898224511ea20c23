//! The settings that all layers of a stage share: number format, device, seed and optimizers.

use proto::spec::optimizer::OptimizerSpec;
use proto::spec::stage::StageSpec;
use tch::{Device, Kind, TchError, Tensor};

/// The settings that all layers of a stage share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The device of the tensors.
    pub device: Device,
    /// The number format of the computation.
    pub kind: Kind,
    /// The seed of the run's random streams.
    pub seed: u64,
    /// The optimizer of W, biases and norms.
    pub optimizer: OptimizerSpec,
    /// The optimizer of B.
    pub optimizer_backward: OptimizerSpec,
}

impl Settings {
    /// The settings of the stage `spec`, computed on `device` in `kind`.
    pub fn of(spec: &StageSpec, device: Device, kind: Kind) -> Self {
        Self {
            device,
            kind,
            seed: spec.seed,
            optimizer: spec.optimizer.clone(),
            optimizer_backward: spec.optimizer_backward.clone(),
        }
    }

    /// The numbers `drawn` in f32, as a tensor of `shape` on the device and in the number format of the computation.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn tensor(&self, drawn: &[f32], shape: &[i64]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(drawn)?.f_reshape(shape)?.f_to_device(self.device)?.f_to_kind(self.kind)
    }
}
