//! The error of a refused configuration: one sentence, on one line.

/// A fault of a configuration. It displays as one sentence that names the key and the place of the fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this sentence; line breaks in the sentence become spaces.
    pub(crate) fn new(sentence: impl AsRef<str>) -> Self {
        let words: Vec<&str> = sentence.as_ref().split_whitespace().collect();
        Self(words.join(" "))
    }
}
