//! Links over gRPC: each link is one call, on a connection of its own.

use super::DATA_MESSAGE_LIMIT;
use super::admission::{self, ConnectionInfo, Kept};
use super::codec::refused_here;
use super::dial::{connect, retry};
use super::status::failure_of;
use super::tls::Security;
use crate::cancellation::Cancellation;
use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
#[cfg(feature = "leaks")]
use crate::leak::parts;
#[cfg(not(feature = "leaks"))]
use crate::link::framing::parts;
use crate::link::framing::{Assembler, Direction};
use crate::link::{Contract, End, Link, LinkRefusal, LinkRegistry, Observer, Peer, PendingLink, Port};
use crate::microbatch::Message;
use crate::wire::layer_client::LayerClient;
use crate::wire::{Activation, ErrorSignal, LayerValues};
use futures::{Stream, StreamExt, stream};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

/// The metadata that names a call's run, so that a node refuses an unknown connection before its first message.
const RUN: &str = "neuropil-run";
const INCARNATION: &str = "neuropil-incarnation";

/// The answer to a call that opens a link.
pub type Parts<D> = Pin<Box<dyn Stream<Item = Result<D, Status>> + Send>>;

/// Opens `link` from below. The caller tries a node again where the node's run has not begun yet.
///
/// # Errors
/// When the deadline passes or the node refuses.
pub async fn exchange(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    retry(&link.peer, deadline, || try_exchange(security, link)).await
}

async fn try_exchange(security: &Security, link: &Link) -> Result<Port, Failure> {
    let (port, PendingLink { link, received, to_send }) = link.clone().queues();
    let request = request::<Activation>(&link, to_send)?;
    let answer = client(security, &link.peer).await?.exchange(request).await;
    carry(answer, link, received).map(|()| port)
}

/// Opens `link` from above, to the last stage, as [`exchange`] does from below.
///
/// # Errors
/// As [`exchange`].
pub async fn collect(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    retry(&link.peer, deadline, || try_collect(security, link)).await
}

async fn try_collect(security: &Security, link: &Link) -> Result<Port, Failure> {
    let (port, PendingLink { link, received, to_send }) = link.clone().queues();
    let request = request::<ErrorSignal>(&link, to_send)?;
    let answer = client(security, &link.peer).await?.collect(request).await;
    carry(answer, link, received).map(|()| port)
}

/// Opens `link` from the host of W to the host of B, as [`exchange`] does from below.
///
/// # Errors
/// As [`exchange`].
pub async fn serve(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    retry(&link.peer, deadline, || try_serve(security, link)).await
}

async fn try_serve(security: &Security, link: &Link) -> Result<Port, Failure> {
    let (port, PendingLink { link, received, to_send }) = link.clone().queues();
    let request = request::<LayerValues>(&link, to_send)?;
    let answer = client(security, &link.peer).await?.serve(request).await;
    carry(answer, link, received).map(|()| port)
}

/// A connection for one link: HTTP/2 is fastest with one bulk stream per connection.
async fn client(security: &Security, peer: &Peer) -> Result<LayerClient<Channel>, Failure> {
    let client = LayerClient::new(connect(security, peer).await?.0);
    Ok(client.max_decoding_message_size(DATA_MESSAGE_LIMIT).max_encoding_message_size(DATA_MESSAGE_LIMIT))
}

fn request<Out: Direction>(
    link: &Link,
    to_send: mpsc::Receiver<Message>,
) -> Result<Request<impl Stream<Item = Out> + Send + use<Out>>, Failure> {
    let Contract { run, incarnation, .. } = &link.contract;
    let name = run.parse().map_err(|_| Failure::refused(format!("'{run}' cannot name a run")))?;
    let mut request = Request::new(outgoing(link.observer.clone(), to_send));
    request.metadata_mut().insert(RUN, name);
    request.metadata_mut().insert(INCARNATION, (*incarnation).into());
    Ok(request)
}

fn carry<In: Direction>(
    answer: Result<Response<Streaming<In>>, Status>,
    link: Link,
    received: mpsc::Sender<Message>,
) -> Result<(), Failure> {
    let stream = answer.map_err(|status| failure_of(&status))?.into_inner();
    tokio::spawn(read(stream, link, received));
    Ok(())
}

/// Takes a link that the neighbour below opens.
///
/// # Errors
/// The reason for which `registry` does not expect the link.
pub fn accept_exchange(
    registry: &LinkRegistry,
    request: Request<Streaming<Activation>>,
) -> Result<Response<Parts<ErrorSignal>>, LinkRefusal> {
    accept(registry, End::Below, request)
}

/// Takes the link that the coordinator opens to the last stage.
///
/// # Errors
/// The reason for which `registry` does not expect the link.
pub fn accept_collect(
    registry: &LinkRegistry,
    request: Request<Streaming<ErrorSignal>>,
) -> Result<Response<Parts<Activation>>, LinkRefusal> {
    accept(registry, End::Above, request)
}

/// Takes the link that the host of W opens to the host of B.
///
/// # Errors
/// As [`accept_exchange`].
pub fn accept_serve(
    registry: &LinkRegistry,
    request: Request<Streaming<LayerValues>>,
) -> Result<Response<Parts<ErrorSignal>>, LinkRefusal> {
    accept(registry, End::Forward, request)
}

fn accept<In: Direction, Out: Direction>(
    registry: &LinkRegistry,
    end: End,
    request: Request<Streaming<In>>,
) -> Result<Response<Parts<Out>>, LinkRefusal> {
    let connection = admission::connection(&request);
    let caller = connection.as_ref().and_then(ConnectionInfo::identity).map(Identity::role);
    let pending = registry.take(end, named_run(request.metadata()), caller)?;
    let PendingLink { mut link, received, to_send } = pending;
    if let Some(connection) = &connection {
        link.peer = link.peer.at(connection.peer().to_string());
    }
    let kept = connection.as_ref().map(ConnectionInfo::keep);
    tracing::debug!(?end, peer = %link.peer, "link opened");
    let (cancellation, ended) = (link.cancellation.clone(), link.cancellation.clone());
    let parts = outgoing::<Out>(link.observer.clone(), to_send).map(Ok);
    let parts = parts.take_until(async move { ended.ended().await });
    tokio::spawn(read(request.into_inner(), link, received));
    let reason = stream::once(reason(cancellation, kept)).filter_map(std::future::ready);
    Ok(Response::new(Box::pin(parts.chain(reason))))
}

/// The run and incarnation that a call's metadata names.
fn named_run(metadata: &MetadataMap) -> Option<(&str, u32)> {
    let run = metadata.get(RUN)?.to_str().ok()?;
    let incarnation = metadata.get(INCARNATION)?.to_str().ok()?.parse().ok()?;
    Some((run, incarnation))
}

/// The run's failure, for the neighbour, if the run failed. Until this future ends, the connection is kept.
async fn reason<D>(cancellation: Cancellation, _kept: Option<Kept>) -> Option<Result<D, Status>> {
    cancellation.failure().cloned().map(|failure| Err(failure.into()))
}

/// The parts of every message in `queue`. A message is cut into parts only when its turn comes.
fn outgoing<D: Direction>(
    observer: Arc<dyn Observer>,
    queue: mpsc::Receiver<Message>,
) -> impl Stream<Item = D> + Send + use<D> {
    ReceiverStream::new(queue).flat_map(move |message| {
        observer.sent(D::CARRIED, &message);
        stream::iter(parts(message))
    })
}

/// Reads messages into the port's queue until either end closes the link. The queue is bounded: a slow port slows the
/// stream down. A neighbour that breaks the contract or the connection fails the run.
async fn read<D: Direction>(mut stream: Streaming<D>, link: Link, received: mpsc::Sender<Message>) {
    let Link { peer, contract, cancellation, observer } = link;
    let mut assembler = Assembler::new(contract);
    loop {
        let message = tokio::select! {
            () = cancellation.ended() => return,
            () = received.closed() => return,
            message = next(&mut stream, &mut assembler) => message,
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

/// The next message, or `None` where the peer ended the stream between two messages.
async fn next<D: Direction>(
    stream: &mut Streaming<D>,
    assembler: &mut Assembler,
) -> Result<Option<Message>, Broken> {
    loop {
        match stream.message().await {
            Ok(Some(part)) => {
                if let Some(message) = assembler.push(part)? {
                    return Ok(Some(message));
                }
            }
            Ok(None) if assembler.is_idle() => return Ok(None),
            Ok(None) => {
                let torn = format!(
                    "the stream ended in the middle of {}: check that host and the network to it, then start the run again",
                    D::NAME
                );
                return Err(ProtocolError::Invalid(torn).into());
            }
            Err(status) => {
                return Err(match refused_here(&status) {
                    Some(error) => refused_part(error, assembler),
                    None => Broken::Told(failure_of(&status)),
                });
            }
        }
    }
}

/// The refusal of a part that is not its own encoding, with the message and the tensor to which it was to belong.
fn refused_part(error: &ProtocolError, assembler: &Assembler) -> Broken {
    Broken::Refused(match assembler.due() {
        Some(due) => ProtocolError::Invalid(format!("{error}, while {due} was due")),
        None => error.clone(),
    })
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
