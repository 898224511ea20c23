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
    /// The forms that a message may have, by the number in its header.
    pub forms: Vec<Form>,
    /// The number format of the tensors, but for the network's input, which is in bytes ([`Value::kind`]).
    pub kind: Kind,
    /// The most microbatches in a minibatch.
    pub max_microbatches: u32,
}

/// The form of a message: its tensors, and their bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The tensors of the message, in order. The list is empty for the first stage's "done".
    pub values: Vec<Value>,
    /// The most samples in the message.
    pub max_microbatch: u32,
}

impl Contract {
    /// The same contract for messages of the one form `values`, with as many samples as form 0 has.
    #[must_use]
    pub fn with_values(&self, values: Vec<Value>) -> Self {
        let max_microbatch = self.forms.first().map_or(1, |form| form.max_microbatch);
        Self { forms: vec![Form { values, max_microbatch }], ..self.clone() }
    }

    /// The tensors of the messages of form 0.
    pub fn values(&self) -> &[Value] {
        self.forms.first().map_or(&[], |form| &form.values)
    }

    /// The form of the messages with the number `form`.
    ///
    /// # Errors
    /// A number that is no form of the link.
    pub(crate) fn form(&self, form: u32) -> Result<&Form, ProtocolError> {
        let forms = self.forms.len();
        self.forms.get(form as usize).ok_or_else(|| {
            ProtocolError::invalid(format!("a message of form {form} where this link has {forms} forms"))
        })
    }

    /// Checks a message's header against the run and the bounds.
    pub(crate) fn check(&self, header: &MicrobatchHeader) -> Result<(), ProtocolError> {
        if header.run != self.run || header.incarnation != self.incarnation {
            return Err(ProtocolError::invalid(format!(
                "{header} belongs to another run or an earlier start of it"
            )));
        }
        let (samples, microbatches) = (self.form(header.form)?.max_microbatch, self.max_microbatches);
        if header.size > samples || header.microbatches > microbatches {
            return Err(ProtocolError::invalid(format!(
                "{header} is larger than this stage was configured for ({samples} samples, {microbatches} microbatches)"
            )));
        }
        Ok(())
    }
}
