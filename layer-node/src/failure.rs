//! How the program fails: one sentence, and the exit code that scripts rely on.

/// A failure, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code: 1 internal, 2 configuration.
    pub code: u8,
    /// What happened, where, and what to do.
    pub sentence: String,
}

impl Failure {
    /// A flag that cannot be had: a port that is taken, a device or a folder that is not there.
    pub fn configuration(sentence: impl std::fmt::Display) -> Self {
        Self { code: 2, sentence: sentence.to_string() }
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self { code: 1, sentence }
    }
}
