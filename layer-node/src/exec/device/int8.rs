//! The 8-bit format of links in torch's operations, for devices whose memory Rust does not read, with the bits of
//! [`proto::tensor::int8`]. The dimensions of a tensor are in memory order here, as its numbers cross a link, but for
//! [`as_received`].

use super::kind_of;
use crate::layout::{from_memory_order, in_memory_order, settled};
use proto::spec::layout::Layout;
use proto::tensor::Kind as Wire;
use proto::tensor::int8::{Block, NOT_FINITE};
use tch::{Kind, TchError, Tensor};

/// A tensor in the 8-bit format.
pub struct Encoded {
    /// The bytes of the scales and then of the numbers, in one dimension.
    pub bytes: Tensor,
    /// The number of elements that are not 0 and became 0, in blocks that are finite.
    pub vanished: Tensor,
}

/// The sizes of a tensor's blocks.
struct Blocks {
    samples: i64,
    /// The elements of a sample.
    of_sample: i64,
    /// The blocks of a sample.
    blocks: i64,
    /// The elements of a block.
    size: i64,
}

impl Blocks {
    fn of(shape: &[i64], block: Block) -> Self {
        let size = block.size() as i64;
        let of_sample = shape.iter().skip(1).product();
        let blocks = (of_sample + size - 1) / size;
        Self { samples: shape.first().copied().unwrap_or(1), of_sample, blocks, size }
    }

    /// The elements of `tensor` as samples × blocks × elements, with zeros behind each sample's last element.
    fn cut(&self, tensor: &Tensor) -> Result<Tensor, TchError> {
        let Self { samples, of_sample, blocks, size } = *self;
        let flat = tensor.f_reshape([samples, of_sample])?;
        flat.f_constant_pad_nd([0, blocks * size - of_sample])?.f_view([samples, blocks, size])
    }

    /// The elements of samples × blocks × elements, as samples × elements.
    fn joined(&self, tensor: &Tensor) -> Result<Tensor, TchError> {
        tensor.f_view([self.samples, self.blocks * self.size])?.f_narrow(1, 0, self.of_sample)
    }
}

/// Rounds `tensor` to blocks of 8-bit numbers.
///
/// # Errors
/// When memory or device fail.
pub fn encode(tensor: &Tensor, block: Block) -> Result<Encoded, TchError> {
    let blocks = Blocks::of(&tensor.size(), block);
    let elements = blocks.cut(&tensor.f_to_kind(Kind::Float)?)?;
    let scale = scales(&elements)?;
    let finite = scale.f_isfinite()?.f_unsqueeze(-1)?;
    let has_scale = scale.f_gt(0.0)?.f_unsqueeze(-1)?;
    let divisor =
        scale.f_unsqueeze(-1)?.f_where_self(&has_scale, &Tensor::f_ones_like(&scale)?.f_unsqueeze(-1)?)?;
    let numbers = elements.f_div(&divisor)?.f_round()?.f_masked_fill(&has_scale.f_logical_not()?, 0.0)?;
    let lost = numbers.f_eq(0.0)?.f_logical_and(&elements.f_ne(0.0)?)?.f_logical_and(&finite)?;
    let numbers = blocks.joined(&numbers.f_to_kind(Kind::Int8)?)?.f_contiguous()?;
    let bytes = [scale.f_contiguous()?, numbers].map(|part| part.f_view_dtype(Kind::Uint8)?.f_reshape([-1]));
    let [scales, numbers] = bytes;
    Ok(Encoded { bytes: Tensor::f_cat(&[scales?, numbers?], 0)?, vanished: lost.f_sum(Kind::Int64)? })
}

/// The scales of samples × blocks × elements.
fn scales(elements: &Tensor) -> Result<Tensor, TchError> {
    // A divisor on the device: by a number of the CPU, CUDA multiplies with its reciprocal, which rounds otherwise.
    let most = Tensor::f_full([1], 127.0, (Kind::Float, elements.device()))?;
    let scale = elements.f_abs()?.f_amax([-1], false)?.f_div(&most)?;
    let odd = scale.f_mul(&most)?.f_isfinite()?.f_logical_not()?;
    let scale = scale.f_masked_fill(&scale.f_lt(f64::from(f32::MIN_POSITIVE))?, 0.0)?;
    let bits = scale.f_view_dtype(Kind::Int)?.f_masked_fill(&odd, i64::from(NOT_FINITE))?;
    bits.f_view_dtype(Kind::Float)
}

/// The elements of a tensor of `shape`, in f32 and contiguous, from the bytes of its scales and numbers.
///
/// # Errors
/// When memory or device fail.
pub fn decode(bytes: &Tensor, shape: &[i64], block: Block) -> Result<Tensor, TchError> {
    let blocks = Blocks::of(shape, block);
    let scales = blocks.samples * blocks.blocks * 4;
    let scale = bytes.f_narrow(0, 0, scales)?.f_view_dtype(Kind::Float)?;
    let numbers = bytes.f_narrow(0, scales, blocks.samples * blocks.of_sample)?.f_view_dtype(Kind::Int8)?;
    let numbers = blocks.cut(&numbers.f_to_kind(Kind::Float)?)?;
    let scale = scale.f_view([blocks.samples, blocks.blocks, 1])?;
    // Where a sample's last block is short, its elements lie apart from the next sample's.
    blocks.joined(&numbers.f_mul(&scale)?)?.f_contiguous()?.f_reshape(shape)
}

/// `tensor` as its receiver will have it, in f32 and with the strides of `layout`. `tensor` stays as it is.
///
/// # Errors
/// When memory or device fail.
pub fn as_received(tensor: &Tensor, block: Block, layout: Layout) -> Result<Tensor, TchError> {
    let tensor = in_memory_order(layout, &settled(layout, tensor.shallow_clone())?)?;
    from_memory_order(layout, decode(&encode(&tensor, block)?.bytes, &tensor.size(), block)?)
}

/// The sizes and the number format of a tensor's bytes as torch holds them: those of the 8-bit format have no sizes of
/// the tensor.
pub(super) fn held(wire: Wire, sizes: &[i64], bytes: usize) -> (Vec<i64>, Kind) {
    match wire {
        Wire::Int8(_) => (vec![bytes as i64], Kind::Uint8),
        other => (sizes.to_vec(), kind_of(other)),
    }
}
