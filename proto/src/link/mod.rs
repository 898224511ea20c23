//! Links between neighbours, and the control calls: streams of domain types over tonic.

mod contract;
pub mod framing;

pub use contract::Contract;

use crate::client::CallError;
use crate::error::ProtocolError;
use crate::microbatch::Message;
use crate::transport::QUEUE;
use framing::{Assembler, Direction};
use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status, Streaming};

const RUN: &str = "neuropil-run";
const INCARNATION: &str = "neuropil-incarnation";

/// Whole messages of one direction, put together and checked as they arrive.
pub struct Incoming<D> {
    stream: Streaming<D>,
    assembler: Assembler,
}

impl<D: Direction> Incoming<D> {
    /// Reads messages that keep `contract` off `stream`.
    pub fn new(stream: Streaming<D>, contract: Contract) -> Self {
        Self { stream, assembler: Assembler::new(contract) }
    }

    /// The next message, or `None` where the peer ended the stream between two messages.
    ///
    /// # Errors
    /// The peer's status, or `InvalidArgument` for what the contract forbids.
    pub async fn next(&mut self) -> Result<Option<Message>, Status> {
        while let Some(part) = self.stream.message().await? {
            if let Some(message) = self.assembler.push(part)? {
                return Ok(Some(message));
            }
        }
        if self.assembler.is_idle() {
            return Ok(None);
        }
        Err(ProtocolError::Invalid(format!("the stream ended in the middle of an {}", D::NAME)).into())
    }
}

/// The parts of every message that comes out of `queue`; a message is cut up only when its turn
/// comes.
pub fn outgoing<D: Direction>(queue: mpsc::Receiver<Message>) -> impl Stream<Item = D> + Send {
    ReceiverStream::new(queue).flat_map(|message| stream::iter(framing::parts(message)))
}

/// Both directions of a link, at the end that opened it.
pub struct Link<D> {
    /// Takes messages to the peer; bounded, so that a slow peer slows its neighbour down.
    pub sender: mpsc::Sender<Message>,
    /// Messages from the peer.
    pub incoming: Incoming<D>,
}

/// What it means that the link from `peer` ended with `status`.
pub fn broken(peer: &str, status: &Status) -> String {
    match CallError::from_status(peer, status) {
        CallError::Lost { why, .. } => format!(
            "the link from {peer} was lost ({why}): check that host and the network to it, then start the run again"
        ),
        _ => format!("the link from {peer} broke: {}", status.message()),
    }
}

/// The run and incarnation that a call's metadata names.
pub fn named_run(metadata: &MetadataMap) -> Option<(&str, u32)> {
    let run = metadata.get(RUN)?.to_str().ok()?;
    let incarnation = metadata.get(INCARNATION)?.to_str().ok()?.parse().ok()?;
    Some((run, incarnation))
}

/// A call that opens a link in the run of `contract`, and the queue that feeds it. The metadata names
/// the run, so that a stranger is refused before its first message.
pub(crate) fn request<Out: Direction>(
    contract: &Contract,
) -> Result<(mpsc::Sender<Message>, Request<impl Stream<Item = Out> + Send + use<Out>>), CallError> {
    let (sender, queue) = mpsc::channel(QUEUE);
    let mut request = Request::new(outgoing::<Out>(queue));
    let run = contract
        .run
        .parse()
        .map_err(|_| CallError::Address(format!("'{}' cannot name a run", contract.run)))?;
    request.metadata_mut().insert(RUN, run);
    request.metadata_mut().insert(INCARNATION, contract.incarnation.into());
    Ok((sender, request))
}
