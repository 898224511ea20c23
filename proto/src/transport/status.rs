//! Failures as gRPC statuses: the kind in the details, the sentence in the message, and a code for other clients.

use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::link::{LinkRefusal, Peer};
use crate::transport::codec::Received;
use crate::wire;
use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let code = match failure.kind {
            FailureKind::Own | FailureKind::Identity => Code::Aborted,
            FailureKind::Refused | FailureKind::OtherProtocol => Code::FailedPrecondition,
            FailureKind::Protocol => Code::InvalidArgument,
            FailureKind::SnapshotGone => Code::NotFound,
            FailureKind::Early => Code::Unavailable,
            FailureKind::Neighbour | FailureKind::Lost | FailureKind::Unreachable | FailureKind::Address => {
                Code::DataLoss
            }
        };
        status(code, failure)
    }
}

impl From<ProtocolError> for Status {
    fn from(error: ProtocolError) -> Self {
        Failure::from(error).into()
    }
}

impl From<LinkRefusal> for Status {
    fn from(refusal: LinkRefusal) -> Self {
        let code = match refusal {
            LinkRefusal::Unnamed => Code::Unauthenticated,
            LinkRefusal::Early => Code::Unavailable,
            LinkRefusal::OtherRun | LinkRefusal::Stranger => Code::PermissionDenied,
            LinkRefusal::Taken => Code::AlreadyExists,
        };
        status(code, refusal.into())
    }
}

impl From<LinkRefusal> for Failure {
    fn from(refusal: LinkRefusal) -> Self {
        let kind = match refusal {
            LinkRefusal::Early => FailureKind::Early,
            LinkRefusal::Unnamed | LinkRefusal::OtherRun | LinkRefusal::Stranger | LinkRefusal::Taken => {
                FailureKind::Refused
            }
        };
        Failure::new(kind, refusal)
    }
}

fn status(code: Code, failure: Failure) -> Status {
    let failure = failure.cut();
    let message = failure.to_string();
    Status::with_details(code, message, wire::Failure::from(failure).encode_to_vec().into())
}

/// The failure that a status reports. A status without this protocol's details comes from the transport or from
/// another program: a dead peer shows as Unavailable, Unknown or Cancelled.
pub(crate) fn failure_of(status: &Status) -> Failure {
    if wire::Failure::decode(status.details()).is_ok() {
        match wire::Failure::receive(Bytes::copy_from_slice(status.details())).map(Failure::try_from) {
            Ok(Ok(failure)) => return failure,
            Ok(Err(_)) => {}
            Err(refused) => return refused.into(),
        }
    }
    let (kind, sentence) = match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
            (FailureKind::Lost, status.message())
        }
        Code::InvalidArgument => (FailureKind::Protocol, status.message()),
        Code::Unimplemented => {
            (FailureKind::Refused, "no such service there: give the node's control address")
        }
        _ => (FailureKind::Refused, status.message()),
    };
    Failure::new(kind, sentence).cut()
}

/// A failure of a call to `peer`, as the caller reports it.
pub(crate) fn told_by(peer: &Peer, failure: Failure) -> Failure {
    let Failure { of, kind, sentence } = failure;
    let sentence = match (of, kind) {
        (_, FailureKind::Address | FailureKind::Unreachable | FailureKind::Identity) => sentence,
        // The node names its stage itself.
        (Some(_), _) => format!("{sentence} (reported by {})", peer.address()),
        (None, FailureKind::Lost) => format!(
            "{peer} was lost ({sentence}): check that its process and host are alive, then start the run again"
        ),
        (None, _) => format!("{peer}: {sentence}"),
    };
    Failure { of, kind, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Role;

    #[test]
    fn a_failure_survives_the_wire() {
        let gone = Failure::new(FailureKind::SnapshotGone, "it is not there").of(Role::Stage(3));
        let status = Status::from(gone.clone());
        assert_eq!((status.code(), status.message()), (Code::NotFound, "stage 3: it is not there"));
        assert_eq!(failure_of(&status), gone);
        let unreachable =
            Failure::new(FailureKind::Unreachable, "stage 4 could not be reached").of(Role::Stage(3));
        let told = failure_of(&unreachable.clone().into());
        assert_eq!(told, Failure { kind: FailureKind::Neighbour, ..unreachable });
        assert_eq!(failure_of(&LinkRefusal::Early.into()).kind, FailureKind::Early);
    }

    #[test]
    fn a_hostile_or_newer_peer_is_understood_by_the_code_and_in_a_sentence() {
        let details = |kind, sentence: &str| {
            let failure =
                wire::Failure { kind, stage: Some(u32::MAX), sentence: sentence.into(), backward: false };
            Status::with_details(Code::Aborted, "the message", failure.encode_to_vec().into())
        };
        let unknown = failure_of(&details(77, "the details"));
        assert_eq!(unknown, Failure::refused("the message"), "a kind that is not known");
        let long = failure_of(&details(1, &"ü".repeat(100_000)));
        assert!(long.kind == FailureKind::Own && long.sentence.len() <= 2000, "{}", long.sentence.len());
        let torn =
            Status::with_details(Code::DataLoss, "x".repeat(100_000), b"\x1a\xff\xff\xff".as_slice().into());
        assert_eq!(failure_of(&torn).sentence.len(), 2000);
        assert_eq!(failure_of(&Status::unknown("h2 protocol error")).kind, FailureKind::Lost);
        let own =
            wire::Failure { kind: 1, stage: None, sentence: "full".into(), backward: false }.encode_to_vec();
        let spare = [&own[..], b"\x7a\x02WW"].concat();
        let spare = failure_of(&Status::with_details(Code::Aborted, "full", spare.into()));
        assert!(spare.kind == FailureKind::Protocol && spare.sentence.contains("4 spare bytes"), "{spare}");
    }

    #[test]
    fn the_caller_names_the_peer_unless_the_node_names_its_stage() {
        let peer = Peer::stage(1).at("a:7101");
        let told = |failure| told_by(&peer, failure).to_string();
        assert_eq!(told(Failure::refused("busy")), "stage 1 at a:7101: busy");
        assert_eq!(told(Failure::own("full").of(Role::Stage(1))), "stage 1: full (reported by a:7101)");
        let lost = told(Failure::new(FailureKind::Lost, "reset"));
        assert!(lost.starts_with("stage 1 at a:7101 was lost (reset): check that its process"), "{lost}");
    }
}
