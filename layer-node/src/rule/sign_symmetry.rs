//! Sign symmetry: B has the signs of W, and its own magnitudes.
//!
//! ```text
//! uSF    B = √(1/fan_in) · sign(W)     one magnitude for all
//! brSF   B = |M| ∘ sign(W)             M drawn anew after every update
//! frSF   B = |M| ∘ sign(W)             M drawn once
//! ```
//!
//! Liao, Leibo and Poggio, "How Important Is Weight Symmetry in Backpropagation?", AAAI 2016. M comes from
//! the initialiser of W. A W of exactly 0 counts as positive, so that no magnitude is lost.

use super::{AtUpdate, ReadsWeight};
use proto::spec::rule::Magnitude;
use tch::{TchError, Tensor};

/// B for the current W, from the B before, whose magnitudes frSF keeps; `drawn` draws another M.
///
/// # Errors
/// When a torch operation fails.
pub fn aligned(
    magnitude: Magnitude,
    seen: &AtUpdate<ReadsWeight>,
    drawn: impl FnOnce() -> Result<Tensor, TchError>,
) -> Result<Tensor, TchError> {
    let weight = seen.weight();
    let signs = weight.f_ge(0.0)?.f_to_kind(weight.kind())?.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
    match magnitude {
        Magnitude::Uniform => {
            let fan_in: i64 = weight.size()[1..].iter().product();
            signs.f_mul_scalar((1.0 / fan_in as f64).sqrt())
        }
        Magnitude::Redrawn => signs.f_mul(&drawn()?.f_abs()?),
        Magnitude::Fixed => signs.f_mul(&seen.backward().f_abs()?),
    }
}
