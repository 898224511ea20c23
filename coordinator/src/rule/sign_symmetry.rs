//! Sign symmetry: B has the signs of W; `rule.magnitude` sets the magnitudes.
//!
//! ```text
//! uniform (uSF)    B = √(1/fan_in) · sign(W)
//! redrawn (brSF)   B = |M| ∘ sign(W), M drawn anew after every update
//! fixed (frSF)     B = |M| ∘ sign(W), M drawn once
//! ```
//!
//! Liao, Leibo and Poggio, "How Important Is Weight Symmetry in Backpropagation?", AAAI 2016. The rule reads W:
//! its signs are transported, its magnitudes are not.

use super::{Form, Surroundings};

pub(super) fn form(_: Surroundings) -> Form {
    Form::Signs
}
