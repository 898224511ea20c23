//! Links between neighbours, whatever carries them.
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

pub use crate::spec::contract::Contract;
pub use observer::{Carried, Observer, Unobserved};
pub use peer::{Peer, Role};
pub use port::{Incoming, Outgoing, Port, QUEUE};
pub use registry::{LinkRefusal, LinkRegistry};

use crate::cancellation::Cancellation;
use crate::microbatch::Message;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Which of a stage's two links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// To the neighbour nearer the input, which opens it.
    Below,
    /// To the neighbour nearer the output.
    Above,
}

/// A link before a transport carries it.
#[derive(Clone)]
pub struct Link {
    /// The party at the other end.
    pub peer: Peer,
    /// What may arrive.
    pub contract: Contract,
    /// Ends with the run; told where the link breaks.
    pub cancellation: Cancellation,
    /// Told of every message.
    pub observer: Arc<dyn Observer>,
}

impl Link {
    /// A link that breaks alone and that nothing observes.
    pub fn new(peer: Peer, contract: Contract) -> Self {
        Self { peer, contract, cancellation: Cancellation::default(), observer: Arc::new(Unobserved) }
    }

    /// The queues of the link: the port, and the side that waits for a transport.
    pub fn queues(self) -> (Port, PendingLink) {
        let (received, incoming) = mpsc::channel(QUEUE);
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        let (peer, cancellation) = (self.peer.clone(), self.cancellation.clone());
        let outgoing = Outgoing { peer: peer.clone(), queue: outgoing, cancellation: cancellation.clone() };
        let incoming = Incoming { peer, queue: incoming, cancellation };
        (Port { incoming, outgoing }, PendingLink { link: self, received, to_send })
    }
}

/// The transport's side of a port: what a transport needs to carry the link.
pub struct PendingLink {
    /// What the link is.
    pub link: Link,
    /// Takes the peer's messages to the port.
    pub received: mpsc::Sender<Message>,
    /// The port's messages for the peer.
    pub to_send: mpsc::Receiver<Message>,
}
