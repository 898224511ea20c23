//! The two gRPC services of a node: decode → mailbox → encode. No tensor is computed here.

mod control;
mod data;
mod registry;
mod run;
mod single_flight;

pub use control::{ControlService, Identity as NodeIdentity};
pub use data::DataService;
pub use registry::LinkRegistry;

use crate::exec::cancellation::{Cancellation, Trouble};
use crate::meters::Meters;
use proto::link::framing::Direction;
use proto::link::{Incoming, broken};
use proto::microbatch::Message;
use tokio::sync::mpsc;
use tonic::Code;

/// Reads one direction of a link into its queue until either end is done. The queue is bounded: a
/// slow worker slows the stream down. A neighbour that breaks the protocol or the connection fails
/// the run.
async fn pump<D: Direction>(
    mut incoming: Incoming<D>,
    queue: mpsc::Sender<Message>,
    fault: Cancellation,
    peer: String,
    meters: Meters,
) {
    loop {
        let message = tokio::select! {
            () = fault.ended() => return,
            message = incoming.next() => message,
        };
        match message {
            Ok(Some(message)) => {
                meters.received::<D>(&message);
                if queue.send(message).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(status) => {
                if status.code() == Code::InvalidArgument {
                    meters.refused_messages.inc();
                }
                return fault.fail(Trouble::neighbour(broken(&peer, &status)));
            }
        }
    }
}
