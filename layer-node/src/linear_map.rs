//! The linear map of a weight layer: forward through a matrix, its adjoint, and its filter gradient.
//!
//! | | dense | conv |
//! |---|---|---|
//! | forward(x, W) | x Wᵀ | conv2d(x, W) |
//! | adjoint(error, B) | error · B | the adjoint of conv2d at B |
//! | filter_gradient(x, error) | errorᵀ x | cW(x, error) |
//!
//! The matrix is an argument, so that the same three functions serve W, B and the primitives.

use crate::torch;
use tch::{TchError, Tensor};

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
    },
}

impl LinearMap {
    /// y from x, without bias.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(self, x: &Tensor, matrix: &Tensor) -> Result<Tensor, TchError> {
        match self {
            LinearMap::Dense => x.f_matmul(&matrix.f_tr()?),
            LinearMap::Conv { stride, padding } => {
                x.f_conv2d(matrix, None::<&Tensor>, [stride, stride], [padding, padding], [1, 1], 1)
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
            LinearMap::Conv { stride, padding } => torch::conv2d_adjoint(error, x, matrix, stride, padding),
        }
    }

    /// The number of positions of y for `x`: H'·W', or 1 where y has none. Only the shapes of `x` and `matrix` are used.
    pub fn positions(self, x: &Tensor, matrix: &Tensor) -> i64 {
        match self {
            LinearMap::Dense => 1,
            LinearMap::Conv { stride, padding } => {
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
            LinearMap::Conv { stride, padding } => {
                torch::conv2d_filter_gradient(error, x, matrix, stride, padding)
            }
        }
    }
}
