//! The numbers of a tensor in a file: their conversion into a node's format, and the count of those that are not
//! finite.

use crate::torch;
use bytes::Bytes;
use safetensors::tensor::{Dtype, TensorView};
use std::fmt;
use tch::{Kind, TchError, Tensor};

/// The numbers of a tensor that are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotFinite {
    /// NaN.
    nan: i64,
    /// Infinite in the file.
    infinite: i64,
    /// Finite in the file, and beyond the node's format.
    beyond: i64,
    /// All numbers of the tensor.
    of: usize,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.nan, "NaN"), (self.infinite, "infinite"), (self.beyond, "too large for the node")];
        let said: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        write!(f, "{} of {} numbers are not finite", self.nan + self.infinite + self.beyond, self.of)?;
        write!(f, " ({})", said.join(", "))
    }
}

/// torch's kind of a format that numbers of a network can have; `None` for whole numbers and the like.
fn kind(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        Dtype::F32 => Some(Kind::Float),
        Dtype::F64 => Some(Kind::Double),
        _ => None,
    }
}

/// Whether numbers in the format `dtype` can be converted into those of a network.
pub(super) fn are_numbers(dtype: Dtype) -> bool {
    kind(dtype).is_some()
}

fn known(dtype: Dtype) -> Result<Kind, TchError> {
    kind(dtype).ok_or_else(|| TchError::Torch(format!("{dtype} has no floating point")))
}

/// The numbers of `view`.
///
/// # Errors
/// When memory fails, or the format has no floating point.
pub(super) fn tensor(view: &TensorView<'_>) -> Result<Tensor, TchError> {
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    Tensor::f_from_data_size(view.data(), &shape, known(view.dtype())?)
}

/// The numbers of `view` in the format `to`, and those of them that are not finite.
///
/// # Errors
/// When memory fails, or one of the formats has no floating point.
pub(super) fn converted(view: &TensorView<'_>, to: Dtype) -> Result<(Bytes, Option<NotFinite>), TchError> {
    let given = tensor(view)?;
    let tensor = given.f_to_kind(known(to)?)?;
    let count = |which: Tensor| which.f_sum(Kind::Int64)?.f_int64_value(&[]);
    let (nan, infinite) = (count(given.f_isnan()?)?, count(given.f_isinf()?)?);
    let beyond = count(tensor.f_isinf()?)? - infinite;
    let all = NotFinite { nan, infinite, beyond, of: given.numel() };
    Ok((torch::lend(&tensor)?, Some(all).filter(|all| nan + infinite + all.beyond > 0)))
}

/// The numbers of `view` that are not finite; `None` if it has none, or holds no floating point.
///
/// # Errors
/// When memory fails.
pub(super) fn not_finite(view: &TensorView<'_>) -> Result<Option<NotFinite>, TchError> {
    if !are_numbers(view.dtype()) {
        return Ok(None);
    }
    converted(view, view.dtype()).map(|(_, found)| found)
}
