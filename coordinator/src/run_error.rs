//! The failure of a command: one sentence, and the exit code that scripts rely on.

use crate::data::DataError;
use proto::failure::FailureKind;

/// The cause of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Any other cause: a full disk, or a bug.
    Internal,
    /// A loss that is not finite.
    Diverged,
    /// A fault of the configuration or of the command line.
    Configuration,
    /// A fault of the data set.
    Data,
    /// A node failed, or could not be reached.
    Node,
    /// A message that breaks the protocol was refused.
    Protocol,
    /// A node lacks a state that it must have; another start would lack it too.
    StateGone,
    /// The snapshot to restore is missing or damaged; the snapshot before it may be whole.
    SnapshotGone,
    /// A law that must hold was broken.
    Violation,
    /// Stopped on request; the run can be resumed.
    Interrupted,
}

impl Cause {
    /// Whether a node failed: its log may say more, and another start may succeed.
    pub fn is_of_a_node(self) -> bool {
        matches!(self, Cause::Node | Cause::Protocol)
    }

    /// The exit code of the cause.
    pub fn code(self) -> u8 {
        match self {
            Cause::Internal | Cause::Diverged => 1,
            Cause::Configuration => 2,
            Cause::Data => 3,
            Cause::Node | Cause::Protocol | Cause::StateGone | Cause::SnapshotGone => 4,
            Cause::Violation => 5,
            Cause::Interrupted => 75,
        }
    }

    /// The cause behind the exit code of a failed process.
    pub fn of_code(code: Option<i32>) -> Self {
        match code {
            Some(2) => Cause::Configuration,
            Some(3) => Cause::Data,
            Some(4) => Cause::Node,
            Some(5) => Cause::Violation,
            _ => Cause::Internal,
        }
    }
}

/// A failure of a command, ready to be shown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct RunError {
    /// The cause, which decides the exit code.
    pub cause: Cause,
    /// The sentence: what happened, where, and the remedy.
    pub sentence: String,
}

impl RunError {
    /// A failure with this cause.
    pub fn new(cause: Cause, sentence: impl Into<String>) -> Self {
        Self { cause, sentence: sentence.into() }
    }

    /// A failure of the system, or a bug.
    pub fn internal(sentence: impl std::fmt::Display) -> Self {
        Self::new(Cause::Internal, sentence.to_string())
    }

    /// A bug.
    pub fn panicked() -> Self {
        Self::internal("the coordinator panicked: this is a bug, please report it")
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

impl From<DataError> for RunError {
    fn from(error: DataError) -> Self {
        let cause = match error {
            DataError::Setting { .. } => Cause::Configuration,
            _ => Cause::Data,
        };
        Self::new(cause, error.to_string())
    }
}

impl From<proto::failure::Failure> for RunError {
    fn from(failure: proto::failure::Failure) -> Self {
        let cause = match failure.kind {
            FailureKind::Address => Cause::Configuration,
            FailureKind::SnapshotGone => Cause::SnapshotGone,
            FailureKind::Protocol => Cause::Protocol,
            FailureKind::Own
            | FailureKind::Neighbour
            | FailureKind::Refused
            | FailureKind::Early
            | FailureKind::OtherProtocol
            | FailureKind::Lost
            | FailureKind::Unreachable
            | FailureKind::Identity => Cause::Node,
        };
        Self::new(cause, failure.to_string())
    }
}
