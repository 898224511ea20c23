//! Observers of links: an observer sees every message of a link, in either direction.

use crate::microbatch::Message;

/// What one direction of a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carried {
    /// Values on their way from below to above.
    Activations,
    /// Their errors, from above to below.
    ErrorSignals,
}

/// An observer of a link's messages. Its methods must not block.
pub trait Observer: Send + Sync {
    /// A whole message arrived and kept the contract.
    fn received(&self, carried: Carried, message: &Message);
    /// A message is about to be sent.
    fn sent(&self, carried: Carried, message: &Message);
    /// A message broke the contract; the link ends.
    fn refused(&self);
}

/// An observer that does nothing.
pub struct Unobserved;

impl Observer for Unobserved {
    fn received(&self, _: Carried, _: &Message) {}
    fn sent(&self, _: Carried, _: &Message) {}
    fn refused(&self) {}
}
