//! The comparison of a layer's signals: its output through W with the output through B, and the error that B sends down
//! with the error that W would send.

use crate::comparison::Comparison;
use crate::linear_map::LinearMap;
use tch::{TchError, Tensor};

/// The angles between a layer's signals through W and those through B, over one microbatch as one vector, in degrees. An
/// angle that does not exist, as that of a signal of zeros, is NaN.
#[derive(Clone, Copy, Debug)]
pub struct Signals {
    /// The angle between map(x, W) and map(x, B), or map(x, B·R).
    pub output_deg: f64,
    /// The angle between adjoint(error, B) and adjoint(error, W); NaN where the layer sends no error down.
    pub error_deg: f64,
}

impl Signals {
    /// No comparison.
    pub const NONE: Self = Self { output_deg: f64::NAN, error_deg: f64::NAN };

    /// The angles where B is W itself, of which rounding would make small angles.
    pub fn of_transport(sends_down: bool) -> Self {
        Self { output_deg: 0.0, error_deg: if sends_down { 0.0 } else { f64::NAN } }
    }

    /// Compares the output for `x` through W with the one `through` B. `y` is the output through `weight`, which is W, where
    /// the layer has kept it.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn outputs(
        map: LinearMap,
        x: &Tensor,
        y: Option<&Tensor>,
        weight: &Tensor,
        through: &Tensor,
    ) -> Result<f64, TchError> {
        let y = match y {
            Some(y) => y.shallow_clone(),
            None => map.forward(x, weight)?,
        };
        Ok(Comparison::of(&y, through)?.angle_deg)
    }

    /// Compares the error at `x` that B has `carried` down with the one that `weight` would carry, of the `error` at y.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn errors(
        map: LinearMap,
        x: &Tensor,
        error: &Tensor,
        weight: &Tensor,
        carried: &Tensor,
    ) -> Result<f64, TchError> {
        Ok(Comparison::of(&map.adjoint(error, weight, x)?, carried)?.angle_deg)
    }
}
