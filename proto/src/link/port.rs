//! Ports: the computing side of a link, with a bounded queue in each direction between it and the transport.

use super::{Carried, Observer, Peer};
use crate::cancellation::Cancellation;
use crate::failure::{Failure, FailureKind};
use crate::microbatch::Message;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Whole messages that may wait at either end of each direction of a link. Each direction has its
/// own queue: a queue shared by activations and error signals would deadlock.
pub const QUEUE: usize = 2;

/// Both directions of a link. Their owners may differ.
#[derive(Debug)]
pub struct Port {
    /// Messages from the peer.
    pub incoming: Incoming,
    /// Messages to the peer.
    pub outgoing: Outgoing,
}

impl Port {
    /// The process at the other end.
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

    /// The next message if it has come, without a wait.
    pub fn try_receive(&mut self) -> Option<Message> {
        self.incoming.queue.try_recv().ok()
    }

    /// See [`Outgoing::send`].
    ///
    /// # Errors
    /// As [`Outgoing::send`].
    pub async fn send(&self, deadline: Duration, message: Message) -> Result<(), Failure> {
        self.outgoing.send(deadline, message).await
    }
}

/// The receiving half of a port. The transport stops reading once this half is dropped.
pub struct Incoming {
    pub(super) peer: Peer,
    pub(super) observer: Arc<dyn Observer>,
    /// The queue that the transport's reader fills.
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) cancellation: Cancellation,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages from {}", self.peer)
    }
}

impl Incoming {
    /// The process at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Refuses a message that kept the link's contract but was not expected now, for the reason `why`.
    pub fn refuse(&self, carried: Carried, why: String) -> Failure {
        self.observer.refused(carried, &why);
        Failure::new(FailureKind::Protocol, why)
    }

    /// The next message; `what` names the message that is due.
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

    /// The next message, or `None` where the peer ended the link between two messages. The wait lasts for as long as
    /// the link is open.
    ///
    /// # Errors
    /// The reason for which the link broke.
    pub async fn next(&mut self) -> Result<Option<Message>, Failure> {
        match (self.queue.recv().await, self.cancellation.failure()) {
            (None, Some(failure)) => Err(failure.clone()),
            (message, _) => Ok(message),
        }
    }
}

/// The sending half of a port. The transport ends the direction once this half is dropped, with all its clones.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(super) peer: Peer,
    /// The queue that the transport's writer empties.
    pub(super) queue: mpsc::Sender<Message>,
    pub(super) cancellation: Cancellation,
}

impl Outgoing {
    /// The process at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Hands `message` to the link, waiting while the link's queue is full.
    ///
    /// # Errors
    /// The run's failure, or a sentence about a neighbour that is gone or takes nothing for `deadline`.
    pub async fn send(&self, deadline: Duration, message: Message) -> Result<(), Failure> {
        let header = message.header.clone();
        let sent = async { self.queue.send(message).await.ok() };
        self.cancellation.wait(deadline, &self.peer, || format!("room for {header}"), sent).await
    }

    /// Hands `message` to the link, waiting for as long as the link is open; `false` once the link has ended.
    pub async fn put(&self, message: Message) -> bool {
        self.queue.send(message).await.is_ok()
    }

    /// As [`Outgoing::put`], for a thread that may block.
    pub fn blocking_put(&self, message: Message) -> bool {
        self.queue.blocking_send(message).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Contract, Link, PendingLink};
    use super::*;
    use crate::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
    use crate::tensor::Kind;

    fn link() -> (Port, PendingLink) {
        let contract = Contract {
            run: "run".into(),
            incarnation: 1,
            forms: Vec::new(),
            kind: Kind::F32,
            max_microbatches: 9,
        };
        Link::new(Peer::stage(2).at("a:7100"), contract).queues()
    }

    fn message(index: u32) -> Message {
        let header = MicrobatchHeader {
            run: "run".into(),
            incarnation: 1,
            id: MicrobatchId { step: 1, index },
            phase: Phase::Train,
            minibatch: 9,
            microbatches: 9,
            offset: index,
            size: 1,
            form: 0,
        };
        Message { header, tensors: Vec::new() }
    }

    #[tokio::test]
    async fn what_came_before_a_link_broke_is_received_before_the_reason() {
        let (mut port, transport) = link();
        transport.received.send(message(0)).await.unwrap();
        transport.link.cancellation.fail(Failure::neighbour("it broke"));
        drop(transport.received);
        assert_eq!(port.incoming.next().await.unwrap().unwrap().header.id.index, 0);
        assert_eq!(port.incoming.next().await.unwrap_err(), Failure::neighbour("it broke"));
        let (mut port, transport) = link();
        drop(transport);
        assert!(port.incoming.next().await.unwrap().is_none(), "an end in peace");
    }

    #[tokio::test]
    async fn a_wait_names_the_peer_and_what_was_due() {
        let (mut port, transport) = link();
        let soon = Duration::from_millis(20);
        for index in 0..QUEUE as u32 {
            port.send(soon, message(index)).await.unwrap();
        }
        let full = port.send(soon, message(7)).await.unwrap_err();
        let due = "room for train step 1, microbatch 7 of 9";
        assert!(full.sentence.contains("for stage 2 at a:7100") && full.sentence.contains(due), "{full}");
        let silent = port.receive(soon, || "the activation".into()).await.unwrap_err();
        assert_eq!(
            silent,
            Failure::neighbour("waited 0 s for stage 2 at a:7100, while the activation was due")
        );
        drop(transport);
        let gone = port.receive(soon, || "the activation".into()).await.unwrap_err();
        assert!(
            gone.sentence.starts_with("stage 2 at a:7100 went away while the activation was due"),
            "{gone}"
        );
    }
}
