//! The one place that sees every message of a link, in either direction.

use crate::microbatch::Message;

/// What one direction of a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carried {
    /// Values on their way from below to above.
    Activations,
    /// Their errors, from above to below.
    ErrorSignals,
}

/// Told of messages as they pass; it must not block.
pub trait Observer: Send + Sync {
    /// A whole message came in and kept the contract.
    fn received(&self, carried: Carried, message: &Message);
    /// A message is on its way out.
    fn sent(&self, carried: Carried, message: &Message);
    /// A message broke the contract; the link ends.
    fn refused(&self);
}

/// Observes nothing.
pub struct Unobserved;

impl Observer for Unobserved {
    fn received(&self, _: Carried, _: &Message) {}
    fn sent(&self, _: Carried, _: &Message) {}
    fn refused(&self) {}
}
