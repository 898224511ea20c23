//! Symmetric alignment: B is pulled to W directly.
//!
//! ```text
//! loss of B = −2·10⁻³ Σ W∘B + 10⁻³ Σ B²          (self, decay)
//! ```
//!
//! B settles at self / (2 decay) · W, which is W itself if self is twice decay. The rule reads W.
//! Kunin et al., "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020.

use super::{Form, NONE, loss};
use proto::spec::rule::Coefficients;

pub(super) const FORM: Form = loss(Coefficients { self_: 2e-3, decay: 1e-3, ..NONE });
