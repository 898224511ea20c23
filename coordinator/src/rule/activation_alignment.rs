//! Activation alignment: B, driven forward, should compute the same as W.
//!
//! ```text
//! loss of B = −2·10⁻³ Σ mean(z∘y) + 10⁻³ Σ mean(z²)     (amp, sparse)
//! ```
//!
//! B settles at amp / (2 sparse) · W for inputs of any covariance, because the loss is that of fitting z to y. The
//! rule does not read W, but drives B forward.
//! Kunin et al., "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020.

use super::{Form, Surroundings, loss};
use proto::spec::rule::Primitive;

pub(super) fn form(_: Surroundings) -> Form {
    loss(&[(Primitive::Amp, 2e-3), (Primitive::Sparse, 1e-3)])
}
