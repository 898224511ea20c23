//! The errors of a cut: the reasons why a network cannot be cut as requested.

use proto::error::ProtocolError;

use crate::pipeline::ShapeError;

/// The reason why a network cannot be cut as requested, in one sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// The number of stages is 0.
    #[error("pipeline.stages is 0: a network is cut into at least one stage")]
    NoStages,
    /// Some stage would be empty.
    #[error("{layers} layers are too few for {stages} stages: every stage takes at least one")]
    TooMany {
        /// The requested number of stages.
        stages: u32,
        /// The number of layers.
        layers: usize,
    },
    /// A cut before a layer that doesn't exist.
    #[error("pipeline.stages names '{name}', which is no layer of the network{hint}")]
    Unknown {
        /// The name in the configuration.
        name: String,
        /// The layer with the nearest name, as the end of the sentence.
        hint: String,
    },
    /// A cut is named twice.
    #[error("pipeline.stages names '{0}' twice")]
    Doubled(String),
    /// The limit on a node's memory cannot be kept.
    #[error(
        "no cut into {stages} stages fits into {} MiB per node: the leanest needs {} MiB",
        limit >> 20, least.div_ceil(1 << 20)
    )]
    Memory {
        /// The requested number of stages.
        stages: u32,
        /// Bytes per node.
        limit: u64,
        /// Bytes of the largest node under the cut that makes it smallest.
        least: u64,
    },
    /// A microbatch would be empty.
    #[error("a minibatch of {batch} samples cannot be cut into {microbatches} microbatches")]
    Batch {
        /// N.
        batch: u32,
        /// M.
        microbatches: u32,
    },
    /// The times were measured on another network.
    #[error("{times} measured times are not those of {layers} layers")]
    Times {
        /// The number of given times.
        times: usize,
        /// The number of layers.
        layers: usize,
    },
    /// No pipeline has this size.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The network's layers don't fit together.
    #[error(transparent)]
    Network(#[from] ProtocolError),
}
