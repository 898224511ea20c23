//! The transfer function φ: an activation on y and z, used only inside the primitives, and its slope.

use proto::spec::rule::Transfer;
use tch::{TchError, Tensor};

/// φ(y).
pub fn apply(transfer: Transfer, y: &Tensor) -> Result<Tensor, TchError> {
    match transfer {
        Transfer::Identity => Ok(y.shallow_clone()),
        Transfer::Relu => y.f_relu(),
        Transfer::Tanh => y.f_tanh(),
    }
}

/// φ′(z); `None` if it is 1 everywhere.
pub fn slope(transfer: Transfer, z: &Tensor) -> Result<Option<Tensor>, TchError> {
    match transfer {
        Transfer::Identity => Ok(None),
        Transfer::Relu => z.f_gt(0.0)?.f_to_kind(z.kind()).map(Some),
        Transfer::Tanh => z.f_tanh()?.f_square()?.f_neg()?.f_add_scalar(1.0).map(Some),
    }
}
