//! Failures of the program: a sentence to show, and the exit code that scripts rely on.

/// A failure, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code: 1 internal, 2 configuration, 4 a device that is spoiled for this process.
    pub code: u8,
    /// The event, its place, and the remedy.
    pub sentence: String,
}

impl Failure {
    /// A flag whose value is not available: a port that is taken, or a device or folder that does not exist.
    pub fn configuration(sentence: impl std::fmt::Display) -> Self {
        Self { code: 2, sentence: sentence.to_string() }
    }

    /// A device that computes nothing more for this process; another process may succeed.
    pub fn spoiled(sentence: impl std::fmt::Display) -> Self {
        Self { code: 4, sentence: sentence.to_string() }
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self { code: 1, sentence }
    }
}
