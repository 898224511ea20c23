//! A whole message between neighbours: the named tensors of one microbatch.

use crate::error::ProtocolError;
use crate::lane::{MAX_MICROBATCHES, Phase};
use crate::tensor::TensorData;
use std::fmt;

/// Which microbatch of which minibatch of which run a message belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The run's name on the wire: drawn at random by the coordinator.
    pub run: String,
    /// Counts the starts of the same run.
    pub incarnation: u32,
    /// The minibatch's number within the phase.
    pub step: u64,
    /// Train or evaluate.
    pub phase: Phase,
    /// N, the samples of the minibatch.
    pub minibatch: u32,
    /// M, the microbatches of the minibatch.
    pub microbatches: u32,
    /// This microbatch's index, below M.
    pub index: u32,
    /// The first sample of this microbatch within the minibatch.
    pub offset: u32,
    /// The samples of this microbatch.
    pub size: u32,
}

impl Identity {
    /// Checks that the numbers can belong to one minibatch.
    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        let inside = u64::from(self.offset) + u64::from(self.size) <= u64::from(self.minibatch);
        let counted = self.index < self.microbatches && self.microbatches <= MAX_MICROBATCHES;
        if inside && counted && self.size > 0 {
            return Ok(self);
        }
        Err(ProtocolError::invalid(format!("no minibatch has such a microbatch: {self}")))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} step {}, microbatch {} of {} (samples {}+{} of {})",
            self.phase, self.step, self.index, self.microbatches, self.offset, self.size, self.minibatch
        )
    }
}

/// Named tensors of one microbatch: activations on their way up, or error signals on their way down.
#[derive(Clone, Debug)]
pub struct Message {
    /// What the tensors belong to.
    pub identity: Identity,
    /// The tensors in the order of the link's values; the first dimension is the microbatch's size.
    pub tensors: Vec<(String, TensorData)>,
}

impl Message {
    /// Payload bytes, framing not counted.
    pub fn payload(&self) -> u64 {
        self.tensors.iter().map(|(_, tensor)| tensor.len() as u64).sum()
    }
}
