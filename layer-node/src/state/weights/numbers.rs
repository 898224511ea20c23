//! The numbers of a file's tensor, for torch.

use safetensors::tensor::{Dtype, TensorView};
use tch::{Kind, TchError, Tensor};

/// The numbers of `view`.
///
/// # Errors
/// When memory fails, or the format has no floating point.
pub(super) fn tensor(view: &TensorView<'_>) -> Result<Tensor, TchError> {
    let kind = match view.dtype() {
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        other => return Err(TchError::Torch(format!("{other} has no floating point"))),
    };
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    Tensor::f_from_data_size(view.data(), &shape, kind)
}
