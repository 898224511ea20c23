//! The operation of a weight layer, as both halves of the layer need it.

use crate::linear_map::LinearMap;
use proto::spec::graph::{Init, LayerSpec, Op};
use proto::spec::layout::Layout;
use tch::TchError;

/// The operation of a weight layer.
pub struct WeightOp {
    /// How the layer applies a matrix.
    pub map: LinearMap,
    /// Whether the layer has a bias.
    pub bias: bool,
    /// The distribution of W and B at the start.
    pub init: Init,
    /// The shape of W and B.
    pub shape: Vec<u64>,
}

impl WeightOp {
    /// The operation of the layer `spec`, whose inputs have the shape `x` (one sample), in the memory order `layout`.
    ///
    /// # Errors
    /// A layer that keeps no W, or that takes no such inputs.
    pub fn of(spec: &LayerSpec, x: &[u64], layout: Layout) -> Result<Self, TchError> {
        let (map, bias, init) = match spec.op {
            Op::Conv2d { stride, padding, bias, init, .. } => {
                (LinearMap::Conv { stride: stride.into(), padding: padding.into(), layout }, bias, init)
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
        let shape = spec.op.weight_shape(x);
        let shape = shape.ok_or_else(|| TchError::Shape(format!("{} takes no {x:?}", spec.name)))?;
        Ok(Self { map, bias, init, shape })
    }
}
