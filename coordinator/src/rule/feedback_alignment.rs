//! Feedback alignment: B keeps its initial values, and W comes to agree with B.
//!
//! ```text
//! loss of B = 0
//! ```
//!
//! Lillicrap, Cownden, Tweed and Akerman, "Random synaptic feedback weights support error backpropagation for
//! deep learning", Nature Communications 2016.

use super::{Form, Surroundings, loss};

pub(super) fn form(_: Surroundings) -> Form {
    loss(&[])
}
