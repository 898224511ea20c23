//! Information alignment: B should send back the input behind y, and nothing else.
//!
//! ```text
//! loss of B = −2·10⁻³ Σ mean(z∘y) + 10⁻³ Σ mean(r²) + 10⁻³ Σ B²     (amp, null, decay)
//! ```
//!
//! B settles at a regularised pseudo-inverse of W, (2βWΣWᵀ + 2γI)⁻¹ αWΣ for inputs of covariance Σ, which is finite
//! for any α. The rule is local: it does not read W.
//! Kunin et al., "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020.

use super::{Form, Surroundings, loss};
use proto::spec::rule::Primitive;

pub(super) fn form(_: Surroundings) -> Form {
    loss(&[(Primitive::Amp, 2e-3), (Primitive::Null, 1e-3), (Primitive::Decay, 1e-3)])
}
