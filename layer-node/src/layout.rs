//! Memory orders of tensors: the strides that a layout gives a tensor, and the order in which its numbers cross a link.
//!
//! Torch's kernels depend on the strides of their inputs, and so do the bits of their results. Sizes of 1 leave torch a
//! choice of strides, so a value is settled wherever it enters a layer: then a cut changes no bit.

use crate::torch;
use proto::spec::layout::Layout;
use tch::{TchError, Tensor};

/// The dimensions of a value with planes: `(N, C, H, W)`.
const PLANES: usize = 4;

/// `tensor` with the strides that `layout` gives its shape. The numbers move only where the memory order differs.
///
/// # Errors
/// When memory or device fail.
pub fn settled(layout: Layout, tensor: Tensor) -> Result<Tensor, TchError> {
    torch::settled(tensor, is_permuted(layout, PLANES))
}

/// A view of a settled `tensor` whose dimensions are in memory order, as its numbers cross a link.
///
/// # Errors
/// No error in practice: a permutation of the dimensions always fits.
pub fn in_memory_order(layout: Layout, tensor: &Tensor) -> Result<Tensor, TchError> {
    match is_permuted(layout, tensor.dim()) {
        true => tensor.f_permute([0, 2, 3, 1]),
        false => Ok(tensor.shallow_clone()),
    }
}

/// The sizes of a value of `shape`, in memory order.
pub fn sizes_in_memory_order(layout: Layout, shape: &[i64]) -> Vec<i64> {
    let mut sizes = shape.to_vec();
    if is_permuted(layout, sizes.len()) {
        sizes[1..].rotate_left(1);
    }
    sizes
}

/// The value whose dimensions `tensor` has in memory order.
///
/// # Errors
/// No error in practice: a permutation of the dimensions always fits.
pub fn from_memory_order(layout: Layout, tensor: Tensor) -> Result<Tensor, TchError> {
    match is_permuted(layout, tensor.dim()) {
        true => tensor.f_permute([0, 3, 1, 2]),
        false => Ok(tensor),
    }
}

/// Whether the memory order of a value with so many dimensions differs from the order of the dimensions.
fn is_permuted(layout: Layout, dimensions: usize) -> bool {
    match layout {
        Layout::ChannelsLast => dimensions == PLANES,
        Layout::RowMajor => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Shapes of which each size is 1 in turn, and all of them.
    const SHAPES: [[i64; 4]; 7] =
        [[2, 3, 4, 5], [1, 3, 4, 5], [2, 1, 4, 5], [2, 3, 1, 5], [2, 3, 4, 1], [2, 3, 1, 1], [1, 1, 1, 1]];

    #[test]
    fn a_shape_has_one_stride_for_each_dimension_however_the_tensor_came_about() {
        for shape in SHAPES {
            let [n, c, h, w] = shape;
            let numbers = Tensor::arange(n * c * h * w, (Kind::Float, Device::Cpu)).reshape(shape);
            let turned = numbers.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            let padded = Tensor::cat(&[&numbers, &numbers], 1).narrow(1, 0, c);
            for (layout, strides) in [
                (Layout::ChannelsLast, [h * w * c, 1, w * c, c]),
                (Layout::RowMajor, [c * h * w, h * w, w, 1]),
            ] {
                for tensor in [&numbers, &turned, &padded] {
                    let settled = settled(layout, tensor.shallow_clone()).unwrap();
                    assert_eq!(settled, numbers);
                    assert_eq!(settled.stride(), strides, "{shape:?} {layout}");
                }
            }
        }
    }

    #[test]
    fn numbers_cross_a_link_in_the_order_of_memory_and_come_back() {
        for (layout, shape) in
            SHAPES.into_iter().flat_map(|shape| [(Layout::ChannelsLast, shape), (Layout::RowMajor, shape)])
        {
            let numbers = Tensor::rand(shape, (Kind::Float, Device::Cpu));
            let settled = settled(layout, numbers.shallow_clone()).unwrap();
            let sent = in_memory_order(layout, &settled).unwrap();
            assert!(sent.is_contiguous());
            assert_eq!(sent.size(), sizes_in_memory_order(layout, &shape));
            let back = from_memory_order(layout, sent).unwrap();
            assert_eq!((back.stride(), back), (settled.stride(), numbers));
        }
        let rows = Tensor::rand([2, 3], (Kind::Float, Device::Cpu));
        assert_eq!(in_memory_order(Layout::ChannelsLast, &rows).unwrap().stride(), [3, 1]);
    }
}
