//! A link's end as the party that computes holds it: a bounded queue each way, behind which a transport works.

use super::Peer;
use crate::cancellation::Cancellation;
use crate::failure::Failure;
use crate::microbatch::Message;
use std::time::Duration;
use tokio::sync::mpsc;

/// Whole messages that may wait at either end of each direction of a link. Each direction has its
/// own queue: sharing one between activations and error signals deadlocks.
pub const QUEUE: usize = 2;

/// Both directions of a link; they may be held apart.
#[derive(Debug)]
pub struct Port {
    /// Messages from the peer.
    pub incoming: Incoming,
    /// Messages to the peer.
    pub outgoing: Outgoing,
}

impl Port {
    /// The party at the other end.
    pub fn peer(&self) -> &Peer {
        &self.incoming.peer
    }

    /// See [`Incoming::receive`].
    ///
    /// # Errors
    /// As [`Incoming::receive`].
    pub async fn receive(
        &mut self,
        deadline: Duration,
        what: impl Fn() -> String,
    ) -> Result<Message, Failure> {
        self.incoming.receive(deadline, what).await
    }

    /// See [`Outgoing::send`].
    ///
    /// # Errors
    /// As [`Outgoing::send`].
    pub async fn send(&self, deadline: Duration, message: Message) -> Result<(), Failure> {
        self.outgoing.send(deadline, message).await
    }
}

/// The receiving half of a port. The transport stops reading once it is dropped.
#[derive(Debug)]
pub struct Incoming {
    pub(super) peer: Peer,
    /// Filled by the transport's reader.
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) cancellation: Cancellation,
}

impl Incoming {
    /// The party at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The next message; `what` says which one is due.
    ///
    /// # Errors
    /// The run's failure, or a sentence about a neighbour that is gone or silent for `deadline`.
    pub async fn receive(
        &mut self,
        deadline: Duration,
        what: impl Fn() -> String,
    ) -> Result<Message, Failure> {
        self.cancellation.wait(deadline, &self.peer, what, self.queue.recv()).await
    }

    /// The next message, or `None` where the peer ended the link between two messages. Waits for as long as the link
    /// is open.
    ///
    /// # Errors
    /// Why the link broke.
    pub async fn next(&mut self) -> Result<Option<Message>, Failure> {
        match (self.queue.recv().await, self.cancellation.failure()) {
            (None, Some(failure)) => Err(failure.clone()),
            (message, _) => Ok(message),
        }
    }
}

/// The sending half of a port. The transport ends the direction once it is dropped.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) peer: Peer,
    /// Emptied by the transport's writer.
    pub(super) queue: mpsc::Sender<Message>,
    pub(super) cancellation: Cancellation,
}

impl Outgoing {
    /// Hands `message` to the link, waiting while its queue is full.
    ///
    /// # Errors
    /// The run's failure, or a sentence about a neighbour that is gone or takes nothing for `deadline`.
    pub async fn send(&self, deadline: Duration, message: Message) -> Result<(), Failure> {
        let identity = message.identity.clone();
        let sent = async { self.queue.send(message).await.ok() };
        self.cancellation.wait(deadline, &self.peer, || format!("room for {identity}"), sent).await
    }

    /// Hands `message` to the link, waiting for as long as the link is open; `false` once it has ended.
    pub async fn put(&self, message: Message) -> bool {
        self.queue.send(message).await.is_ok()
    }

    /// As [`Outgoing::put`], on a thread that may block.
    pub fn blocking_put(&self, message: Message) -> bool {
        self.queue.blocking_send(message).is_ok()
    }
}
