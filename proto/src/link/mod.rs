//! Links between neighbours, independent of the transport that carries them.
//!
//! ```text
//! worker, feeder, ◀── Port: a queue of 2 each way ──▶ transport: framing ─▶ bytes
//! loss task, drain                                               ◀─ contract ◀─ bytes
//! ```

pub mod framing;
mod observer;
mod peer;
mod port;
mod registry;

pub use crate::role::Role;
pub use crate::spec::contract::Contract;
pub use observer::{Carried, Observer, Unobserved};
pub use peer::Peer;
pub use port::{Incoming, Outgoing, Port, QUEUE};
pub use registry::{LinkRefusal, LinkRegistry};

use crate::cancellation::Cancellation;
use crate::microbatch::Message;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The end of a link that another process opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The link to the neighbour nearer the input; that neighbour opens it.
    Below,
    /// The link to the neighbour nearer the output; at the last stage, the coordinator opens it.
    Above,
    /// The link from a backward node to the host of W, which opens the link.
    Forward,
}

/// A link before a transport carries it.
#[derive(Clone)]
pub struct Link {
    /// The process at the other end.
    pub peer: Peer,
    /// The messages that may arrive.
    pub contract: Contract,
    /// The cancellation of the link's run. A link that breaks fails the run.
    pub cancellation: Cancellation,
    /// The observer of every message.
    pub observer: Arc<dyn Observer>,
}

impl Link {
    /// A link that fails no run when it breaks and that nothing observes.
    pub fn new(peer: Peer, contract: Contract) -> Self {
        Self { peer, contract, cancellation: Cancellation::default(), observer: Arc::new(Unobserved) }
    }

    /// The queues of the link: the port, and the side that waits for a transport.
    pub fn queues(self) -> (Port, PendingLink) {
        let (received, incoming) = mpsc::channel(QUEUE);
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        let (peer, cancellation) = (self.peer.clone(), self.cancellation.clone());
        let outgoing = Outgoing { peer: peer.clone(), queue: outgoing, cancellation: cancellation.clone() };
        let observer = self.observer.clone();
        let incoming = Incoming { peer, observer, queue: incoming, cancellation };
        (Port { incoming, outgoing }, PendingLink { link: self, received, to_send })
    }
}

/// The transport's side of a port: everything that a transport needs to carry the link.
pub struct PendingLink {
    /// The link.
    pub link: Link,
    /// The queue of the peer's messages for the port.
    pub received: mpsc::Sender<Message>,
    /// The queue of the port's messages for the peer.
    pub to_send: mpsc::Receiver<Message>,
}
