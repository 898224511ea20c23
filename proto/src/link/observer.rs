//! Observers of links: an observer sees every message of a link, in either direction.

use crate::microbatch::Message;
use std::sync::Arc;

/// The kind of values that one direction of a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carried {
    /// Values on their way from below to above.
    Activations,
    /// The errors of these values, from above to below.
    ErrorSignals,
    /// Values of weight layers, from the host of W to the host of B.
    LayerValues,
}

/// An observer of a link's messages. Its methods must not block.
pub trait Observer: Send + Sync {
    /// A whole message arrived and kept the contract.
    fn received(&self, carried: Carried, message: &Message);
    /// A message is about to be sent.
    fn sent(&self, carried: Carried, message: &Message);
    /// A message broke the contract, for the reason `why`; the link ends.
    fn refused(&self, carried: Carried, why: &str);
}

/// Two observers are one observer.
impl<A: Observer + ?Sized, B: Observer + ?Sized> Observer for (Arc<A>, Arc<B>) {
    fn received(&self, carried: Carried, message: &Message) {
        self.0.received(carried, message);
        self.1.received(carried, message);
    }

    fn sent(&self, carried: Carried, message: &Message) {
        self.0.sent(carried, message);
        self.1.sent(carried, message);
    }

    fn refused(&self, carried: Carried, why: &str) {
        self.0.refused(carried, why);
        self.1.refused(carried, why);
    }
}

/// An observer that does nothing.
pub struct Unobserved;

impl Observer for Unobserved {
    fn received(&self, _: Carried, _: &Message) {}
    fn sent(&self, _: Carried, _: &Message) {}
    fn refused(&self, _: Carried, _: &str) {}
}
