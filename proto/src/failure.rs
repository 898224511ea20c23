//! Why a call or a run failed: one vocabulary, from a node's thread to the coordinator's last line.

use crate::error::ProtocolError;
use std::fmt;

/// The most bytes of a sentence that cross the wire: a status travels in headers, which are bounded.
const MAX_SENTENCE: usize = 2000;

/// What kind of failure it is. Decisions are made by the kind, never by the sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// A reason of the process that reports it.
    Own,
    /// What a process saw of its neighbour, which may give a better reason itself.
    Neighbour,
    /// The call is not for now, or not for this node.
    Refused,
    /// What arrived is none of this protocol, or breaks the contract of its link.
    Protocol,
    /// The snapshot to restore is not there, or was damaged and moved away: an earlier one may be whole.
    SnapshotGone,
    /// The call came before what it is for: the same call may succeed soon.
    Early,
    /// The connection was lost in the middle of a call. Found by the caller itself, as are the next two.
    Lost,
    /// Nothing answered before the deadline.
    Unreachable,
    /// The address is none.
    Address,
}

/// A failure, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stage that reports it.
    pub stage: Option<u32>,
    /// What decisions are made by.
    pub kind: FailureKind,
    /// What happened, where, and what to do.
    pub sentence: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage {
            Some(stage) => write!(f, "stage {stage}: {}", self.sentence),
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
    /// A failure of no stage yet.
    pub fn new(kind: FailureKind, sentence: impl fmt::Display) -> Self {
        Self { stage: None, kind, sentence: sentence.to_string() }
    }

    /// A reason of this process.
    pub fn own(sentence: impl fmt::Display) -> Self {
        Self::new(FailureKind::Own, sentence)
    }

    /// What a neighbour did, or failed to do.
    pub fn neighbour(sentence: impl fmt::Display) -> Self {
        Self::new(FailureKind::Neighbour, sentence)
    }

    /// A call that this process does not take.
    pub fn refused(sentence: impl fmt::Display) -> Self {
        Self::new(FailureKind::Refused, sentence)
    }

    /// The same, reported by stage `index`.
    pub fn of_stage(self, index: u32) -> Self {
        Self { stage: Some(index), ..self }
    }

    /// The same with a sentence that fits the wire.
    pub(crate) fn cut(mut self) -> Self {
        let most = self.sentence.len().min(MAX_SENTENCE);
        let end = (0..=most).rev().find(|&at| self.sentence.is_char_boundary(at)).unwrap_or(0);
        self.sentence.truncate(end);
        self
    }
}
