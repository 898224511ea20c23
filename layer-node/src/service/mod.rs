//! The control plane of a node: its service decodes a call, passes it to the worker's mailbox, and encodes the reply. It
//! computes no tensor.

mod control;
mod ledger;
mod links;
mod occupancy;
mod pinned;
mod run;
mod single_flight;

pub use control::{ControlService, Identity as NodeIdentity};
pub use pinned::Pinned;

use crate::exec::worker::Job;
use proto::failure::Failure;
use tokio::sync::{mpsc, oneshot};

/// The worker's mailbox.
#[derive(Clone)]
struct Mailbox(mpsc::Sender<Job>);

impl Mailbox {
    /// Sends a job to the worker, and returns the worker's answer.
    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<T>) -> Job,
    ) -> Result<oneshot::Receiver<T>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.0.send(job(reply)).await.map_err(|_| gone())?;
        Ok(answer)
    }
}

fn gone() -> Failure {
    Failure::own("the worker is gone: restart the node")
}
