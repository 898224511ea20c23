//! The protocol of Neuropil's processes: domain types, links, and the transports that carry them. Every message is
//! checked on receipt, before it becomes a domain type.
//!
//! ```text
//! bytes ─▶ transport ─▶ wire (generated) ─▶ framing, convert ─▶ domain types ─▶ coordinator, layer-node
//! ```
//!
//! This crate depends neither on torch nor on a learning rule's mathematics. No message of this crate can carry a
//! weight or a weight's gradient.

pub mod cancellation;
pub mod client;
pub mod clock;
pub mod control;
mod convert;
pub mod disk;
pub mod error;
pub mod failure;
pub mod host;
pub mod identity;
pub mod lane;
#[cfg(feature = "leaks")]
pub mod leak;
pub mod ledger;
pub mod link;
pub mod metrics;
pub mod microbatch;
pub mod process;
pub mod role;
pub mod seed;
pub mod spec;
pub mod state_file;
pub mod tensor;
pub mod timeline;
pub mod transport;
pub mod weights;

/// The types that are generated from the schema. Only the files that serve or call a service use them.
#[allow(missing_docs, clippy::all)]
pub mod wire {
    tonic::include_proto!("neuropil.v1");
    /// The schema's descriptors, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
