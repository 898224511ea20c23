//! The caller's end of a link: it opens the link at the side socket of a node.

use super::frame::{Frames, NoFrame};
use super::handshake::{memory_of, receive, ring, send, slots};
use super::receiver::Receiver;
use super::ring::{Received, Slots};
use super::sender::Sender;
use crate::failure::{Failure, FailureKind};
use crate::link::framing::Direction;
use crate::link::{Link, Peer, PendingLink, Port};
use crate::microbatch::Message;
use crate::transport::address::{check_address, path_of, side_of};
use crate::transport::dial::retry;
use crate::transport::reading::read;
use crate::transport::tls::Security;
use crate::transport::unix;
use crate::wire::{Activation, ErrorSignal, LayerValues, LinkCall, Opened, Opening};
use std::fmt::Display;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Opens `link` from below, as the call `Exchange` of gRPC does.
///
/// # Errors
/// When the deadline passes, the node refuses the link, or its memory is refused.
pub async fn exchange(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    let open = || open::<Activation, ErrorSignal>(security, LinkCall::Exchange, link);
    retry(&link.peer, deadline, open).await
}

/// Opens `link` from above, as the call `Collect` of gRPC does.
///
/// # Errors
/// As [`exchange`].
pub async fn collect(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    let open = || open::<ErrorSignal, Activation>(security, LinkCall::Collect, link);
    retry(&link.peer, deadline, open).await
}

/// Opens `link` from the host of W to the host of B, as the call `Serve` of gRPC does.
///
/// # Errors
/// As [`exchange`].
pub async fn serve(security: &Security, link: &Link, deadline: Duration) -> Result<Port, Failure> {
    let open = || open::<LayerValues, ErrorSignal>(security, LinkCall::Serve, link);
    retry(&link.peer, deadline, open).await
}

/// Opens `link` once. Messages of `Out` go to the node, and those of `In` come from it.
async fn open<Out: Direction, In: Direction>(
    security: &Security,
    call: LinkCall,
    link: &Link,
) -> Result<Port, Failure> {
    let (port, PendingLink { link, received, to_send }) = link.clone().queues();
    check_address(link.peer.address())?;
    let path = side_of(path_of(link.peer.address()).unwrap_or(Path::new("")));
    let out = unix::connect(security, &link.peer, &path).await?;
    let (back, theirs) = UnixStream::pair().map_err(|error| Failure::own(cannot(&error)))?;
    let slots = slots().map_err(Failure::own)?;
    let opening =
        Opening { run: link.contract.run.clone(), incarnation: link.contract.incarnation, call: call.into() };
    send(&out, &opening, &[memory_of(&slots), theirs.as_fd()]).await.map_err(lost)?;
    drop(theirs);
    let (ring, answers) = answer(&out, &link.peer).await?;
    spawn::<Out, In>(link, Ends { out, slots, answers, back, ring }, received, to_send);
    Ok(port)
}

fn cannot(error: &io::Error) -> String {
    format!("cannot make a socket ({error}): raise the limit of open files (ulimit -n)")
}

fn lost(error: impl Display) -> Failure {
    Failure::new(FailureKind::Lost, error)
}

/// The node's ring, or its refusal.
async fn answer(out: &UnixStream, peer: &Peer) -> Result<(Received, Frames), Failure> {
    let (Opened { refusal }, descriptors, answers) = receive(out).await.map_err(|error| match error {
        NoFrame::Refused(error) => Failure::from(error),
        NoFrame::Lost(error) => lost(error),
    })?;
    if let Some(refusal) = refusal {
        return Err(Failure::try_from(refusal)?);
    }
    let ring = ring(descriptors.into_iter().next());
    let ring = ring.map_err(|why| Failure::new(FailureKind::Protocol, format!("{peer} {why}")))?;
    Ok((ring, answers))
}

/// Both directions of an opened link.
struct Ends {
    out: UnixStream,
    slots: Slots,
    answers: Frames,
    back: UnixStream,
    ring: Received,
}

fn spawn<Out: Direction, In: Direction>(
    link: Link,
    ends: Ends,
    received: mpsc::Sender<Message>,
    to_send: mpsc::Receiver<Message>,
) {
    let Ends { out, slots, answers, back, ring } = ends;
    tokio::spawn(Sender::new(out, slots, answers).run::<Out>(link.clone(), to_send));
    let receiver = Receiver::<In>::new(back, ring, Frames::default(), link.contract.clone());
    tokio::spawn(read(receiver, In::CARRIED, link, received));
}
