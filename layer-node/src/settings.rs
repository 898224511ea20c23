//! The settings that all layers of a stage share: number format, device, seed and optimizers.

use crate::layout;
use proto::spec::layout::Layout;
use proto::spec::optimizer::OptimizerSpec;
use proto::spec::stage::StageSpec;
use tch::{Device, Kind, TchError, Tensor};

/// The settings that all layers of a stage share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The device of the tensors.
    pub device: Device,
    /// The number format of the computation: of activations, of errors, and of the factors of products.
    pub kind: Kind,
    /// The memory order of values with planes, of filters, and of their gradients.
    pub layout: Layout,
    /// The seed of the run's random streams.
    pub seed: u64,
    /// The optimizer of W, biases and norms.
    pub optimizer: OptimizerSpec,
    /// The optimizer of B.
    pub optimizer_backward: OptimizerSpec,
    /// The errors are this many times those of the loss.
    pub loss_scale: f64,
    /// Whether B begins as a copy of W.
    pub backward_is_weight: bool,
}

impl Settings {
    /// The settings of the stage `spec`, computed on `device` in `kind`.
    pub fn of(spec: &StageSpec, device: Device, kind: Kind) -> Self {
        Self {
            device,
            kind,
            layout: spec.layout,
            seed: spec.seed,
            optimizer: spec.optimizer.clone(),
            optimizer_backward: spec.optimizer_backward.clone(),
            loss_scale: spec.loss_scale,
            backward_is_weight: spec.begin.as_ref().is_some_and(|begin| begin.backward_is_weight),
        }
    }

    /// The number format of weights, statistics and optimizer state.
    pub fn trained(&self) -> Kind {
        sums(self.kind)
    }

    /// The numbers `drawn` in f32, as a tensor of `shape` on the device and in the number format of weights.
    ///
    /// # Errors
    /// When memory or device fail.
    pub fn tensor(&self, drawn: &[f32], shape: &[i64]) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_from_slice(drawn)?.f_reshape(shape)?;
        layout::settled(self.layout, tensor.f_to_device(self.device)?.f_to_kind(self.trained())?)
    }
}

/// The number format of weights and of sums in a computation in `kind`: steps and parts that are too small for bf16
/// would be lost in it.
pub fn sums(kind: Kind) -> Kind {
    match kind {
        Kind::BFloat16 | Kind::Half => Kind::Float,
        kind => kind,
    }
}
