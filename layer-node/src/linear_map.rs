//! The linear map of a weight layer: forward through a matrix, its adjoint, and its filter gradient.
//!
//! | | dense | conv |
//! |---|---|---|
//! | forward(x, W) | x Wᵀ | conv2d(x, W) |
//! | adjoint(error, B) | error · B | the adjoint of conv2d at B |
//! | filter_gradient(x, error) | errorᵀ x | cW(x, error) |
//!
//! The matrix is an argument, so that the same three functions serve W, B and the primitives.

use crate::layout::{from_memory_order, settled, sizes_in_memory_order};
use crate::torch;
use proto::spec::layout::Layout;
use tch::{Device, Kind, TchError, Tensor};

/// The numbers of f32 in the widest vectors of a CPU.
const VECTOR: i64 = 16;

/// How a weight layer applies its matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearMap {
    /// `(N, in)` by `(out, in)` gives `(N, out)`.
    Dense,
    /// `(N, in, H, W)` by `(out, in, k, k)` gives `(N, out, H', W')`.
    Conv {
        /// Step of the window.
        stride: i64,
        /// Zeros around the input.
        padding: i64,
        /// The memory order of all tensors, those that are given and those that are returned.
        layout: Layout,
    },
}

impl LinearMap {
    /// The map of a matrix that is applied at every position of y: a window of one pixel.
    #[must_use]
    pub fn at_each_position(self) -> Self {
        match self {
            LinearMap::Dense => LinearMap::Dense,
            LinearMap::Conv { layout, .. } => LinearMap::Conv { stride: 1, padding: 0, layout },
        }
    }

    /// y from x, without bias.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(self, x: &Tensor, matrix: &Tensor) -> Result<Tensor, TchError> {
        match self {
            LinearMap::Dense => x.f_matmul(&matrix.f_tr()?),
            LinearMap::Conv { stride, padding, layout } => {
                let sides = [[stride; 2], [padding; 2], [1; 2]];
                settled(layout, x.f_conv2d(matrix, None::<&Tensor>, sides[0], sides[1], sides[2], 1)?)
            }
        }
    }

    /// The error at x from the error at y. Only the shape of `x` is used.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn adjoint(self, error: &Tensor, matrix: &Tensor, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            LinearMap::Dense => error.f_matmul(matrix),
            LinearMap::Conv { stride, padding, layout } => {
                settled(layout, torch::conv2d_adjoint(error, x, matrix, stride, padding)?)
            }
        }
    }

    /// A tensor in the place of an x of which only the shape is used.
    ///
    /// # Errors
    /// When memory fails.
    pub fn unread(self, shape: &[i64], options: (Kind, Device)) -> Result<Tensor, TchError> {
        match self {
            LinearMap::Dense => Tensor::f_empty(shape, options),
            LinearMap::Conv { layout, .. } => {
                from_memory_order(layout, Tensor::f_empty(sizes_in_memory_order(layout, shape), options)?)
            }
        }
    }

    /// The number of positions of y for `x`: H'·W', or 1 where y has none. Only the shapes of `x` and `matrix` are used.
    pub fn positions(self, x: &Tensor, matrix: &Tensor) -> i64 {
        match self {
            LinearMap::Dense => 1,
            LinearMap::Conv { stride, padding, .. } => {
                let sides = x.size().into_iter().zip(matrix.size()).skip(2);
                sides.map(|(side, kernel)| (side + 2 * padding - kernel) / stride + 1).product()
            }
        }
    }

    /// The gradient with respect to the matrix, summed over the batch. Only the shape of `matrix` is used.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn filter_gradient(self, x: &Tensor, error: &Tensor, matrix: &Tensor) -> Result<Tensor, TchError> {
        match self {
            LinearMap::Dense => error.f_tr()?.f_matmul(x),
            LinearMap::Conv { stride, padding, layout } => {
                let (x, stride) = thinned(x, matrix, (stride, padding), layout)?;
                settled(layout, torch::conv2d_filter_gradient(error, &x, matrix, stride, padding)?)
            }
        }
    }
}

/// The input and the stride of a filter gradient: a window of one pixel reads only each `stride`-th row and column, and here
/// these are copied out. libtorch's oneDNN copies them too, but on CPUs with AVX2 and without AVX-512 it writes past the end
/// of its copy if the channels do not fill whole vectors (`jit_avx2_1x1_convolution_bwd_weights_t` in libtorch 2.11.0).
fn thinned(
    x: &Tensor,
    matrix: &Tensor,
    (stride, padding): (i64, i64),
    layout: Layout,
) -> Result<(Tensor, i64), TchError> {
    let shape = matrix.size();
    if stride == 1 || padding != 0 || shape[2..] != [1, 1] || shape[1] % VECTOR == 0 {
        return Ok((x.shallow_clone(), stride));
    }
    let read = x.f_slice(2, None, None, stride)?.f_slice(3, None, None, stride)?;
    Ok((settled(layout, read)?, 1))
}
