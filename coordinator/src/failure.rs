//! How a command fails: one sentence, and the exit code that scripts rely on.

use crate::data::DataError;
use proto::client::CallError;

/// What kind of failure it is; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// None of the others: a diverged run, a full disk, or a bug.
    Internal = 1,
    /// The configuration or the command line.
    Configuration = 2,
    /// The data set.
    Data = 3,
    /// A node failed, or could not be reached.
    Node = 4,
    /// A law that must hold was broken.
    Violation = 5,
    /// Stopped on request; the run can be resumed.
    Interrupted = 75,
}

/// A failure, ready to be shown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// Decides the exit code.
    pub cause: Cause,
    /// What happened, where, and what to do.
    pub sentence: String,
}

impl Failure {
    /// A failure of `cause`.
    pub fn new(cause: Cause, sentence: impl Into<String>) -> Self {
        Self { cause, sentence: sentence.into() }
    }

    /// Something that the system refused, or a bug.
    pub fn internal(sentence: impl std::fmt::Display) -> Self {
        Self::new(Cause::Internal, sentence.to_string())
    }

    /// A fault of the configuration or the command line.
    pub fn configuration(sentence: impl std::fmt::Display) -> Self {
        Self::new(Cause::Configuration, sentence.to_string())
    }

    /// A fault of a node.
    pub fn node(sentence: impl std::fmt::Display) -> Self {
        Self::new(Cause::Node, sentence.to_string())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        let cause = match error {
            DataError::Setting { .. } => Cause::Configuration,
            _ => Cause::Data,
        };
        Self::new(cause, error.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let cause = match error {
            CallError::Address(_) => Cause::Configuration,
            _ => Cause::Node,
        };
        Self::new(cause, error.to_string())
    }
}
