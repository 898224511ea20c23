//! The contract of one direction of a link: the tensors of its messages, and their bounds.

use super::graph::Value;
use crate::error::ProtocolError;
use crate::microbatch::MicrobatchHeader;
use crate::tensor::Kind;

/// The messages that may arrive on one direction of a link. Any other message is refused before it takes memory.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The run that the link belongs to.
    pub run: String,
    /// The start of the run that the link belongs to.
    pub incarnation: u32,
    /// The tensors of every message, in order. The list is empty for the first stage's "done".
    pub values: Vec<Value>,
    /// The number format of the tensors.
    pub kind: Kind,
    /// The most samples in a microbatch.
    pub max_microbatch: u32,
    /// The most microbatches in a minibatch.
    pub max_microbatches: u32,
}

impl Contract {
    /// Checks a message's header against the run and the bounds.
    pub(crate) fn check(&self, header: &MicrobatchHeader) -> Result<(), ProtocolError> {
        if header.run != self.run || header.incarnation != self.incarnation {
            return Err(ProtocolError::invalid(format!(
                "{header} belongs to another run or an earlier start of it"
            )));
        }
        if header.size > self.max_microbatch || header.microbatches > self.max_microbatches {
            return Err(ProtocolError::invalid(format!(
                "{header} is larger than this stage was configured for ({} samples, {} microbatches)",
                self.max_microbatch, self.max_microbatches
            )));
        }
        Ok(())
    }
}
