//! Failures, as they travel in the details of a status.

use super::Result;
use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::wire;
use crate::wire::failure::Kind;

/// Only kinds that a sender can have: what a caller finds out by itself is nothing to be told.
impl TryFrom<wire::Failure> for Failure {
    type Error = ProtocolError;
    fn try_from(failure: wire::Failure) -> Result<Self> {
        let kind = match failure.kind() {
            Kind::Own => FailureKind::Own,
            Kind::Neighbour => FailureKind::Neighbour,
            Kind::Refused => FailureKind::Refused,
            Kind::Protocol => FailureKind::Protocol,
            Kind::SnapshotGone => FailureKind::SnapshotGone,
            Kind::Early => FailureKind::Early,
            Kind::Unspecified => return Err(ProtocolError::Missing("known kind of failure")),
        };
        Ok(Self { stage: failure.stage, kind, sentence: failure.sentence }.cut())
    }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Own => Kind::Own,
            FailureKind::Refused => Kind::Refused,
            FailureKind::Protocol => Kind::Protocol,
            FailureKind::SnapshotGone => Kind::SnapshotGone,
            FailureKind::Early => Kind::Early,
            // What this process found out when it called another one is about a neighbour, to its own callers.
            FailureKind::Neighbour | FailureKind::Lost | FailureKind::Unreachable | FailureKind::Address => {
                Kind::Neighbour
            }
        };
        Self { kind: kind.into(), stage: failure.stage, sentence: failure.cut().sentence }
    }
}
