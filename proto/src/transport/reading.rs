//! The reading end of a link, whatever carries it: messages go to the port's queue, and a link that breaks fails its run.

use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::link::framing::{Assembler, Direction};
use crate::link::{Carried, Link, Peer};
use crate::microbatch::Message;
use tokio::sync::mpsc;

/// The messages of a peer, in order.
pub(super) trait Source: Send {
    /// The next message, or `None` where the peer ended the direction between two messages.
    fn next(&mut self) -> impl Future<Output = Result<Option<Message>, Broken>> + Send;
}

/// Why a link broke.
pub(super) enum Broken {
    /// This end refused a message of the peer.
    Refused(ProtocolError),
    /// The peer or the connection ended the direction.
    Told(Failure),
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Self {
        Broken::Refused(error)
    }
}

impl Broken {
    /// The refusal of a part that is not its own encoding, with the message and the tensor to which it was to belong.
    pub fn at(error: &ProtocolError, assembler: &Assembler) -> Self {
        Broken::Refused(match assembler.due() {
            Some(due) => ProtocolError::Invalid(format!("{error}, while {due} was due")),
            None => error.clone(),
        })
    }
}

/// The refusal of a direction that ended within a message.
pub(super) fn torn<D: Direction>() -> ProtocolError {
    ProtocolError::Invalid(format!(
        "the stream ended in the middle of {}: check that host and the network to it, then start the run again",
        D::NAME
    ))
}

/// Reads messages into the port's queue until either end closes the link. The queue is bounded: a slow port slows the
/// peer down. A neighbour that breaks the contract or the connection fails the run.
pub(super) async fn read(
    mut source: impl Source,
    carried: Carried,
    link: Link,
    received: mpsc::Sender<Message>,
) {
    let Link { peer, cancellation, observer, .. } = link;
    loop {
        let message = tokio::select! {
            () = cancellation.ended() => return,
            () = received.closed() => return,
            message = source.next() => message,
        };
        match message {
            Ok(Some(message)) => {
                observer.received(carried, &message);
                if received.send(message).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(Broken::Refused(why)) => {
                let why = format!("the link from {peer} broke: {why}");
                observer.refused(carried, &why);
                return cancellation.fail(Failure::new(FailureKind::Protocol, why));
            }
            Err(Broken::Told(failure)) => return cancellation.fail(broken(&peer, &failure)),
        }
    }
}

/// The run's failure where its link from `peer` failed.
fn broken(peer: &Peer, failure: &Failure) -> Failure {
    Failure::neighbour(match failure.kind {
        FailureKind::Lost => format!(
            "the link from {peer} was lost ({failure}): check that host and the network to it, then start the run again"
        ),
        FailureKind::Own
        | FailureKind::Neighbour
        | FailureKind::Refused
        | FailureKind::Protocol
        | FailureKind::SnapshotGone
        | FailureKind::Early
        | FailureKind::OtherProtocol
        | FailureKind::Unreachable
        | FailureKind::Address
        | FailureKind::Identity => format!("the link from {peer} broke: {failure}"),
    })
}
