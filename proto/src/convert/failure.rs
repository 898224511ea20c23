//! Conversions of failures, which travel in the details of a status.

use super::Result;
use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::role::Role;
use crate::wire;
use crate::wire::failure::Kind;

/// The wire has only the kinds that a node reports: a caller finds the other kinds itself.
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
        let role = if failure.backward { Role::Backward } else { Role::Stage };
        Ok(Self { of: failure.stage.map(role), kind, sentence: failure.sentence }.cut())
    }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        let kind = match failure.kind {
            // Nobody can give a better reason than the end that was refused: TLS tells it to nobody else.
            FailureKind::Own | FailureKind::Identity => Kind::Own,
            FailureKind::Refused | FailureKind::OtherProtocol => Kind::Refused,
            FailureKind::Protocol => Kind::Protocol,
            FailureKind::SnapshotGone => Kind::SnapshotGone,
            FailureKind::Early => Kind::Early,
            // To this process's callers, a failure of its own call to another process is a neighbour's failure.
            FailureKind::Neighbour | FailureKind::Lost | FailureKind::Unreachable | FailureKind::Address => {
                Kind::Neighbour
            }
        };
        let (stage, backward) = match failure.of {
            Some(Role::Stage(index)) => (Some(index), false),
            Some(Role::Backward(index)) => (Some(index), true),
            None | Some(Role::Coordinator | Role::Node) => (None, false),
        };
        Self { kind: kind.into(), stage, sentence: failure.cut().sentence, backward }
    }
}
