//! Why a configuration is refused: one sentence, on one line.

/// A fault of a configuration; displayed, it is one sentence that names the key and where it was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// The sentence, brought onto one line.
    pub(crate) fn new(sentence: impl AsRef<str>) -> Self {
        let words: Vec<&str> = sentence.as_ref().split_whitespace().collect();
        Self(words.join(" "))
    }
}
