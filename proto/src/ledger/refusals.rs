//! The first messages that a process refused, as its ledger keeps them.

use super::{MAX_REFUSALS, Refusal};
use crate::link::{Carried, Role};

/// The first refused messages, [`MAX_REFUSALS`] at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Notes a message from `from` that was refused for the reason `why`. `carried` is `None` on the control plane.
    pub(super) fn note(&mut self, from: Role, carried: Option<Carried>, why: &str) {
        if self.0.len() < MAX_REFUSALS {
            self.0.push(Refusal { from, carried, sentence: why.to_owned() });
        }
    }

    /// The refusals, in their order.
    pub(super) fn all(&self) -> Vec<Refusal> {
        self.0.clone()
    }
}
