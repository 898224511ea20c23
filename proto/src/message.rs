//! A whole message between neighbours, and what a link lets through.

use crate::error::DoorError;
use crate::lane::{MAX_MICROBATCHES, Phase};
use crate::tensor::{Kind, TensorData};
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
    pub(crate) fn check(self) -> Result<Self, DoorError> {
        let inside = u64::from(self.offset) + u64::from(self.size) <= u64::from(self.minibatch);
        let counted = self.index < self.microbatches && self.microbatches <= MAX_MICROBATCHES;
        if inside && counted && self.size > 0 {
            return Ok(self);
        }
        Err(DoorError::invalid(format!("no minibatch has such a microbatch: {self}")))
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

/// A value of the network's graph that crosses a cut: its name and the shape of one sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The layer that computes it, or [`crate::graph::INPUT`].
    pub name: String,
    /// The shape of one sample.
    pub shape: Vec<u64>,
}

/// What one direction of a link carries; whatever else arrives is refused before it takes memory.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The run that the link belongs to.
    pub run: String,
    /// The start of the run that the link belongs to.
    pub incarnation: u32,
    /// The tensors of every message, in order. Empty for the first stage's "done".
    pub values: Vec<Value>,
    /// Their number format.
    pub kind: Kind,
    /// The most samples in a microbatch.
    pub max_microbatch: u32,
    /// The most microbatches in a minibatch.
    pub max_microbatches: u32,
}

impl Contract {
    /// Checks an identity against the run and the bounds.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), DoorError> {
        if identity.run != self.run || identity.incarnation != self.incarnation {
            return Err(DoorError::invalid(format!(
                "{identity} belongs to another run or an earlier start of it"
            )));
        }
        if identity.size > self.max_microbatch || identity.microbatches > self.max_microbatches {
            return Err(DoorError::invalid(format!(
                "{identity} is larger than this stage was configured for ({} samples, {} microbatches)",
                self.max_microbatch, self.max_microbatches
            )));
        }
        Ok(())
    }
}
