//! Product feedback alignment: the error goes back through a fixed B, and then through an R that takes the steps of BᵀW.
//!
//! ```text
//! δ_mid = Bᵀ δ                error at x = adjoint(δ_mid, R)
//! gradient of R = filter_gradient(x, δ_mid) + λR          (decay = λ/2)
//! ```
//!
//! Bᵀ times the task gradient of W is that of R, so that ‖R − BᵀW‖ decays as ‖W − B‖ does under Kolen-Pollack, whatever the
//! data; `record/invariant.rs` checks that law. B·R then comes near B·Bᵀ·W, which has W's direction where B is orthogonal:
//! it is where `rule.ratio` is 1. The rule does not read W. "Product feedback alignment", arXiv 2405.20594.

use super::{Form, Surroundings, matched_decay};

pub(super) fn form(around: Surroundings) -> Form {
    Form::Product { ratio: 1.0, decay: matched_decay(around.weight_decay) }
}
