//! Any combination of the primitives, at the coefficients that the configuration gives.
//!
//! ```text
//! loss of B = amp · −Σ mean(z∘y) + null · Σ mean(r²) + sparse · Σ mean(z²) + self · −Σ W∘B + decay · ΣB²
//! ```
//!
//! and W's own task gradient where `rule.task` is set. Reads W only with self.

use super::{Form, NONE, loss};

pub(super) const FORM: Form = loss(NONE);
