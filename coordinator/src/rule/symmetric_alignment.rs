//! Symmetric alignment: B is pulled to W directly.
//!
//! ```text
//! loss of B = −2·10⁻³ Σ W∘B + 10⁻³ Σ B²          (self, decay)
//! ```
//!
//! B settles at self / (2 decay) · W, which is W itself if self is twice decay. The rule reads W.
//! Kunin et al., "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020.

use super::{Form, Surroundings, loss};
use proto::spec::rule::Primitive;

pub(super) fn form(_: Surroundings) -> Form {
    loss(&[(Primitive::Self_, 2e-3), (Primitive::Decay, 1e-3)])
}
