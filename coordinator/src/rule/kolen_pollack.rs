//! Kolen-Pollack: B takes the same steps as W, so their difference decays.
//!
//! ```text
//! gradient of B = W's task gradient + λB          (task, decay = λ/2)
//! ```
//!
//! With weight decay λ on W and the same optimizer settings for both, ‖W − B‖ shrinks by 1 − ηλ in every step of
//! plain SGD, whatever the data; `record/invariant.rs` checks that law. The rule does not read W.
//! Kolen and Pollack, "Backpropagation without weight transport", ICNN 1994; Akrout, Wilson, Humphreys,
//! Lillicrap and Tweed, "Deep Learning without Weight Transport", NeurIPS 2019.

use super::{Form, Surroundings};
use proto::spec::rule::{Alignment, Coefficients, Primitive};

pub(super) fn form(around: Surroundings) -> Form {
    let decay = matched_decay(around.weight_decay);
    let coefficients = Coefficients::new(&[(Primitive::Decay, decay)]);
    Form::Learned { task: true, coefficients, alignment: Alignment::default() }
}

/// The coefficient of decay that matches W's weight decay λ: λB is the gradient of λ/2 ΣB².
pub fn matched_decay(weight_decay: f64) -> f64 {
    weight_decay / 2.0
}
