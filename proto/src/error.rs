//! The error of a received message that is refused.

/// A message that this protocol does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A field that every sender sets is absent.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// A field has a value that the protocol does not allow; the sentence names the field.
    #[error("{0}")]
    Invalid(String),
}

impl ProtocolError {
    pub(crate) fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(sentence.into())
    }
}

/// A name from the network, cut to a length that fits in a sentence.
pub(crate) fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
