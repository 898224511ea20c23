//! The number format in which the layers of a stage compute.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The number format of the computation.
///
/// W, B, biases, norms, their running statistics and the state of optimizers are f32 under every precision, and so are
/// the sums of gradients: the precision decides the format of activations, of errors, and of the factors of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// Values in f32, of which the products of a CUDA device see the upper 19 bits. A CPU computes as under
    /// [`Precision::F32`].
    Tf32,
    /// Values in bf16, the upper half of an f32. Their products are summed in f32.
    Bf16,
}

impl Precision {
    /// Bytes of one number of an activation or an error.
    pub const fn size(self) -> usize {
        match self {
            Precision::F32 | Precision::Tf32 => 4,
            Precision::Bf16 => 2,
        }
    }

    /// Whether weights have a copy in the format of activations, beside their values in f32.
    pub const fn copies_weights(self) -> bool {
        match self {
            Precision::F32 | Precision::Tf32 => false,
            Precision::Bf16 => true,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
