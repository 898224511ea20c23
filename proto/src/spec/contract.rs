//! The contract of a link: what may arrive on one direction of it, and the bounds of its messages.

use super::graph::Value;
use crate::error::ProtocolError;
use crate::microbatch::MicrobatchHeader;
use crate::tensor::Kind;

/// What may arrive on one direction of a link; whatever else does is refused before it takes memory.
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
    pub(crate) fn check(&self, identity: &MicrobatchHeader) -> Result<(), ProtocolError> {
        if identity.run != self.run || identity.incarnation != self.incarnation {
            return Err(ProtocolError::invalid(format!(
                "{identity} belongs to another run or an earlier start of it"
            )));
        }
        if identity.size > self.max_microbatch || identity.microbatches > self.max_microbatches {
            return Err(ProtocolError::invalid(format!(
                "{identity} is larger than this stage was configured for ({} samples, {} microbatches)",
                self.max_microbatch, self.max_microbatches
            )));
        }
        Ok(())
    }
}
