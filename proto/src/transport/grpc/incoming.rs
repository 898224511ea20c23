//! The incoming direction of a link: the body of a call becomes messages in the port's queue.

use super::parts::PartReader;
use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::link::framing::Direction;
use crate::link::{Link, Peer};
use crate::microbatch::Message;
use crate::transport::codec::Received;
use crate::transport::status::failure_of;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

/// Which side of the call sends the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The caller. A caller that cancels its call ends its direction.
    Caller,
    /// The server, whose last frame says how the call ended.
    Server,
}

/// Reads messages into the port's queue until either end closes the link. The queue is bounded: a slow port slows the
/// stream down. A neighbour that breaks the contract or the connection fails the run.
pub(super) async fn read<D: Direction + Received>(
    body: Body,
    sender: Sender,
    link: Link,
    received: mpsc::Sender<Message>,
) {
    let Link { peer, contract, cancellation, observer } = link;
    let mut incoming = Incoming { body, sender, rest: Bytes::new(), parts: PartReader::<D>::new(contract) };
    loop {
        let message = tokio::select! {
            () = cancellation.ended() => return,
            () = received.closed() => return,
            message = incoming.next() => message,
        };
        match message {
            Ok(Some(message)) => {
                observer.received(D::CARRIED, &message);
                if received.send(message).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(Broken::Refused(why)) => {
                let why = format!("the link from {peer} broke: {why}");
                observer.refused(D::CARRIED, &why);
                return cancellation.fail(Failure::new(FailureKind::Protocol, why));
            }
            Err(Broken::Told(failure)) => return cancellation.fail(broken(&peer, &failure)),
        }
    }
}

/// Why a link broke.
enum Broken {
    /// This end refused a message of the peer.
    Refused(ProtocolError),
    /// The peer or the connection ended the stream.
    Told(Failure),
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Self {
        Broken::Refused(error)
    }
}

/// The body of one direction of a call, as far as it has come.
struct Incoming<D> {
    body: Body,
    sender: Sender,
    /// The rest of the last frame.
    rest: Bytes,
    parts: PartReader<D>,
}

impl<D: Direction + Received> Incoming<D> {
    /// The next message, or `None` where the peer ended the stream between two messages.
    async fn next(&mut self) -> Result<Option<Message>, Broken> {
        loop {
            if let Some(message) = self.parts.take(&mut self.rest)? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => self.told(frame.trailers_ref())?,
                },
                Some(Err(status)) if self.sender == Sender::Server || status.code() != Code::Cancelled => {
                    return Err(Broken::Told(failure_of(&status)));
                }
                None | Some(Err(_)) => return self.end(),
            }
        }
    }

    /// Reads how the server ended the call.
    fn told(&self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        let status = trailers.filter(|_| self.sender == Sender::Server).and_then(Status::from_header_map);
        match status.filter(|status| status.code() != Code::Ok) {
            Some(status) => Err(Broken::Told(failure_of(&status))),
            None => Ok(()),
        }
    }

    fn end(&self) -> Result<Option<Message>, Broken> {
        if self.parts.is_idle() {
            return Ok(None);
        }
        let torn = format!(
            "the stream ended in the middle of {}: check that host and the network to it, then start the run again",
            <D as Direction>::NAME
        );
        Err(ProtocolError::Invalid(torn).into())
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
