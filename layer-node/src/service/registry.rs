//! Where an arriving link finds the run that it belongs to.

use crate::exec::cancellation::Cancellation;
use proto::link::Contract;
use proto::microbatch::Message;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;
use tonic::Status;

/// One end of a link that a neighbour has yet to open.
pub struct PendingLink {
    /// Who is to open it, for sentences.
    pub peer: String,
    /// What the neighbour may send.
    pub contract: Contract,
    /// Takes its messages to the worker.
    pub to_worker: mpsc::Sender<Message>,
    /// The worker's messages for it.
    pub from_worker: mpsc::Receiver<Message>,
    /// Of the run.
    pub fault: Cancellation,
}

/// The links that the current run expects.
#[derive(Default)]
struct Expected {
    run: String,
    incarnation: u32,
    below: Option<PendingLink>,
    above: Option<PendingLink>,
}

/// Which of the two links that others open.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Exchange, from the neighbour below.
    Below,
    /// Collect, from the coordinator to the last stage.
    Above,
}

/// Shared by the control plane, which announces runs, and the data plane, which receives their links.
#[derive(Clone, Default)]
pub struct LinkRegistry(Arc<Mutex<Option<Expected>>>);

impl LinkRegistry {
    fn lock(&self) -> MutexGuard<'_, Option<Expected>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Announces a run; at the top stage with a slot above as well.
    pub fn announce(&self, run: String, incarnation: u32, below: PendingLink, above: Option<PendingLink>) {
        *self.lock() = Some(Expected { run, incarnation, below: Some(below), above });
    }

    /// Forgets the run.
    pub fn clear(&self) {
        *self.lock() = None;
    }

    /// Gives the slot of `side` to a neighbour that names the run.
    ///
    /// # Errors
    /// A status that says why not; `Unavailable` where trying again makes sense.
    pub fn take(&self, side: End, named: Option<(&str, u32)>) -> Result<PendingLink, Status> {
        let (run, incarnation) = named.ok_or_else(|| Status::unauthenticated("the call names no run"))?;
        let mut expected = self.lock();
        let expected =
            expected.as_mut().ok_or_else(|| Status::unavailable("no run is under way here yet"))?;
        if expected.run != run || expected.incarnation != incarnation {
            return Err(Status::permission_denied(
                "the call names another run, or an earlier start of this one",
            ));
        }
        let slot = match side {
            End::Below => &mut expected.below,
            End::Above => &mut expected.above,
        };
        slot.take()
            .ok_or_else(|| Status::already_exists("this link is open already, or is not for this stage"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn an_earlier_start_of_the_run_is_refused_and_the_link_stays_for_the_present_one() {
        let (to_worker, _incoming) = mpsc::channel(1);
        let (_outgoing, from_worker) = mpsc::channel(1);
        let contract = Contract {
            run: "run".into(),
            incarnation: 3,
            values: Vec::new(),
            kind: proto::tensor::Kind::F32,
            max_microbatch: 1,
            max_microbatches: 1,
        };
        let hub = LinkRegistry::default();
        let slot = PendingLink {
            peer: "stage 0".into(),
            contract,
            to_worker,
            from_worker,
            fault: Cancellation::default(),
        };
        hub.announce("run".into(), 3, slot, None);
        for stale in [("run", 2), ("other", 3)] {
            let refused = hub.take(End::Below, Some(stale)).err().map(|status| status.code());
            assert_eq!(refused, Some(Code::PermissionDenied), "{stale:?}");
        }
        assert!(hub.take(End::Below, Some(("run", 3))).is_ok());
    }
}
