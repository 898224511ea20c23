//! Failures of calls and runs: one type, from a node's thread to the coordinator's last line.

use crate::error::ProtocolError;
use crate::role::Role;
use std::fmt;

/// The most bytes of a sentence that cross the wire: a status travels in headers, which are bounded.
const MAX_SENTENCE: usize = 2000;

/// The kind of a failure. Receivers decide by the kind, never by the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A reason of the process that reports it.
    Own,
    /// A process's view of its neighbour's failure. The neighbour may report a better reason itself.
    Neighbour,
    /// The call comes at the wrong time, or is meant for another node.
    Refused,
    /// A message is not of this protocol, or breaks the contract of its link.
    Protocol,
    /// The snapshot to restore is missing, or was damaged and moved away. An earlier snapshot may be whole.
    SnapshotGone,
    /// The call came before its run began, or while the process is being stopped. The same call may succeed soon, also
    /// at the process that takes the place of this one.
    Early,
    /// The peer speaks another protocol. The caller itself finds this kind and the next three kinds.
    OtherProtocol,
    /// The connection was lost in the middle of a call.
    Lost,
    /// No process answered before the deadline.
    Unreachable,
    /// The address is malformed, or not for plaintext.
    Address,
    /// Either end refused the other's certificate, or does not speak TLS. Another attempt would end the same way.
    Identity,
}

/// A failure, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The node that reports it, as a stage or the half of a stage.
    pub of: Option<Role>,
    /// The kind, by which receivers decide.
    pub kind: FailureKind,
    /// One sentence with the event, its place and the remedy.
    pub sentence: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Some(role) => write!(f, "{role}: {}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self::new(FailureKind::Protocol, error)
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::own(sentence)
    }
}

impl Failure {
    /// A failure that names no node yet.
    pub fn new(kind: FailureKind, sentence: impl fmt::Display) -> Self {
        Self { of: None, kind, sentence: sentence.to_string() }
    }

    /// A reason of this process.
    pub fn own(sentence: impl fmt::Display) -> Self {
        Self::new(FailureKind::Own, sentence)
    }

    /// A neighbour's failure, as this process saw it.
    pub fn neighbour(sentence: impl fmt::Display) -> Self {
        Self::new(FailureKind::Neighbour, sentence)
    }

    /// The refusal of a call by this process.
    pub fn refused(sentence: impl fmt::Display) -> Self {
        Self::new(FailureKind::Refused, sentence)
    }

    /// The same failure, reported by the node of `role`.
    pub fn of(self, role: Role) -> Self {
        Self { of: Some(role), ..self }
    }

    /// The same failure, with a sentence short enough for the wire.
    pub(crate) fn cut(self) -> Self {
        Self { sentence: cut(self.sentence), ..self }
    }
}

/// A sentence, cut to a length that crosses the wire.
pub(crate) fn cut(mut sentence: String) -> String {
    let most = sentence.len().min(MAX_SENTENCE);
    let end = (0..=most).rev().find(|&at| sentence.is_char_boundary(at)).unwrap_or(0);
    sentence.truncate(end);
    sentence
}
