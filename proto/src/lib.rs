//! The door of Neuropil: what processes say to each other, and nothing that isn't checked gets in.
//!
//! ```text
//! bytes ─▶ wire (generated) ─▶ framing, convert ─▶ domain types ─▶ coordinator, layer-node
//! ```
//!
//! This crate knows neither torch nor a learning rule's mathematics. It has no message in which a
//! weight, or a weight's gradient, could travel.

pub mod client;
pub mod control;
mod convert;
pub mod error;
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
