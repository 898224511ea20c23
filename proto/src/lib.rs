//! What Neuropil's processes say to each other, and how: domain types, links, and the transports that carry them.
//! Everything that arrives is checked before it becomes a domain type.
//!
//! ```text
//! bytes ─▶ transport ─▶ wire (generated) ─▶ framing, convert ─▶ domain types ─▶ coordinator, layer-node
//! ```
//!
//! This crate knows neither torch nor a learning rule's mathematics. It has no message in which a
//! weight, or a weight's gradient, could travel.

pub mod cancellation;
pub mod client;
pub mod control;
mod convert;
pub mod error;
pub mod failure;
pub mod lane;
pub mod link;
pub mod metrics;
pub mod microbatch;
pub mod seed;
pub mod spec;
pub mod tensor;
pub mod transport;

/// Generated from the schema. Only the files that serve or call a service use these.
#[allow(missing_docs, clippy::all)]
pub mod wire {
    tonic::include_proto!("neuropil.v1");
    /// The schema's descriptors, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
