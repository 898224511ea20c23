//! What the door says of a message that it does not let in.

/// Why a received message is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A field that every sender sets is absent.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// A field holds what it cannot hold; the sentence names it.
    #[error("{0}")]
    Invalid(String),
}

impl ProtocolError {
    pub(crate) fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(sentence.into())
    }
}

impl From<ProtocolError> for tonic::Status {
    fn from(error: ProtocolError) -> Self {
        tonic::Status::invalid_argument(error.to_string())
    }
}
