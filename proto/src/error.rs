//! Why a received message is refused.

/// A message that this protocol does not allow.
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

/// A name from the network, cut to what fits in a sentence.
pub(crate) fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
