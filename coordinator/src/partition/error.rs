//! Why a network cannot be cut as it was asked for.

use proto::error::ProtocolError;

use crate::pipeline::ShapeError;

/// Why a network cannot be cut so, in one sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// No stages.
    #[error("pipeline.stages is 0: a network is cut into at least one stage")]
    NoStages,
    /// Some stage would be empty.
    #[error("{layers} layers are too few for {stages} stages: every stage takes at least one")]
    TooMany {
        /// What was asked for.
        stages: u32,
        /// What there is.
        layers: usize,
    },
    /// A cut before a layer that doesn't exist.
    #[error("pipeline.stages names '{name}', which is no layer of the network{}", hint(nearest))]
    Unknown {
        /// As the config has it.
        name: String,
        /// The layer whose name is most like it.
        nearest: Option<String>,
    },
    /// A cut that was named twice.
    #[error("pipeline.stages names '{0}' twice")]
    Doubled(String),
    /// The limit on a node's memory cannot be kept.
    #[error(
        "no cut into {stages} stages fits into {} MiB per node: the leanest needs {} MiB",
        limit >> 20, least.div_ceil(1 << 20)
    )]
    Memory {
        /// What was asked for.
        stages: u32,
        /// Bytes per node.
        limit: u64,
        /// Bytes of the largest node where that is smallest.
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
    /// Times were measured of another network.
    #[error("{times} measured times are not those of {layers} layers")]
    Times {
        /// How many were given.
        times: usize,
        /// What there is.
        layers: usize,
    },
    /// The pipeline has no such size.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The network's layers don't fit together.
    #[error(transparent)]
    Network(#[from] ProtocolError),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |name| format!(": did you mean '{name}'?"))
}
