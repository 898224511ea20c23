//! Backprop: B ≡ W, the weight transport that all other rules avoid.
//!
//! Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 1986.

use super::{Form, Surroundings};

pub(super) fn form(_: Surroundings) -> Form {
    Form::Transport
}
