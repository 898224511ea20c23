//! Microbatches: their names, and the messages in which their tensors travel between neighbours.

use crate::error::ProtocolError;
use crate::tensor::TensorData;
use std::fmt;

/// The most microbatches that a minibatch may be cut into.
pub const MAX_MICROBATCHES: u32 = 4096;

/// The purpose of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Forward, error, gradient and update; batch norms use and move their statistics.
    Train,
    /// Forward only; the stage keeps no activation and changes no state.
    Evaluate,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Train => "train",
            Phase::Evaluate => "evaluate",
        })
    }
}

/// The name of a microbatch within a phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MicrobatchId {
    /// The step: the number of the microbatch's minibatch.
    pub step: u64,
    /// The microbatch's place in the minibatch.
    pub index: u32,
}

impl fmt::Display for MicrobatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, microbatch {}", self.step, self.index)
    }
}

/// The header of a message: its run, minibatch and microbatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrobatchHeader {
    /// The run's name on the wire, which the coordinator draws at random.
    pub run: String,
    /// The number of this start among all starts of the run.
    pub incarnation: u32,
    /// Train or evaluate.
    pub phase: Phase,
    /// The microbatch; its index is below M.
    pub id: MicrobatchId,
    /// N, the samples of the minibatch.
    pub minibatch: u32,
    /// M, the microbatches of the minibatch.
    pub microbatches: u32,
    /// The first sample of this microbatch within the minibatch.
    pub offset: u32,
    /// The samples of this microbatch.
    pub size: u32,
    /// Which of the link's forms the message has; 0 between neighbours.
    pub form: u32,
}

impl MicrobatchHeader {
    /// Checks that the numbers can belong to one minibatch.
    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        let inside = u64::from(self.offset) + u64::from(self.size) <= u64::from(self.minibatch);
        let counted = self.id.index < self.microbatches && self.microbatches <= MAX_MICROBATCHES;
        if inside && counted && self.size > 0 {
            return Ok(self);
        }
        Err(ProtocolError::invalid(format!("no minibatch has such a microbatch: {self}")))
    }
}

impl fmt::Display for MicrobatchHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, id, minibatch, microbatches, offset, size, .. } = self;
        write!(f, "{phase} {id} of {microbatches} (samples {offset}+{size} of {minibatch})")
    }
}

/// Named tensors of one microbatch: activations on their way up, error signals on their way down, or values of a layer
/// on their way to the host of its B.
#[derive(Clone, Debug)]
pub struct Message {
    /// The microbatch of the tensors.
    pub header: MicrobatchHeader,
    /// The tensors in the order of the form's values; the first dimension is the microbatch's size.
    pub tensors: Vec<(String, TensorData)>,
}

impl Message {
    /// Payload bytes, framing not counted.
    pub fn payload(&self) -> u64 {
        self.tensors.iter().map(|(_, tensor)| tensor.len() as u64).sum()
    }
}
