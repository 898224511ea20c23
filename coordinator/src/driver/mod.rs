//! The driver: the only part of a run that exchanges messages with nodes. It opens the pipeline, keeps it full, and
//! collects the results.
//!
//! ```text
//!            ┌─ feeder (thread) ──inputs──▶ stage 0 ──done──▶ drain
//! submit ────┼─ loss task ◀──logits── stage n-1;  loss task ──errors──▶ outbox ──▶ stage n-1
//!            └─ commands ──▶ every node ──reports──▶ next
//! ```
//!
//! The nodes are in the order of the stages, followed by the nodes that keep the B of split layers. Feeding, the loss
//! and draining are independent tasks: when one of them waits, the others go on.

mod alone;
mod audit;
mod chain;
mod collect;
mod connect;
mod deadline;
mod failures;
mod feed;
mod journal;
mod loss_task;
mod others;
mod outcome;
mod precedence;
mod reports;
mod sent;
mod stream;
#[cfg(test)]
mod tests;
mod transfers;

pub use alone::{Alone, alone};
pub use audit::{Audit, Ledgers, SETTLING};
pub use chain::{Chain, Part, chain, forget};
pub use connect::{NodeAddress, Setup, open};
pub use failures::FailureCollector;
pub use journal::{OwnWork, Task, TaskSpan};
pub use others::of_others;
pub use precedence::Precedence;
pub use transfers::{Due, Transfers};

use crate::data::{Loader, Prefetch};
use crate::loss::Guess;
use crate::run_error::RunError;
use journal::Journal;
use loss_task::BatchLoss;
use proto::control::{self, Align, Command, Keep, Measure, RunLane, SnapshotDone, StepDone};
use proto::lane::Lane;
use proto::microbatch::Phase;
use proto::tensor::Kind;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use stream::NodeStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The data of a run.
#[derive(Clone)]
pub struct Sets {
    /// Training samples, shuffled and augmented.
    pub train: Loader,
    /// Test samples without augmentation.
    pub test: Loader,
    /// The number of threads that load samples (`data.workers`); `None` for the number that suits the data set.
    pub workers: Option<usize>,
    /// How far ahead microbatches are loaded (`data.prefetch`).
    pub prefetch: Prefetch,
}

impl Sets {
    /// The threads that load samples.
    pub fn threads(&self) -> usize {
        self.workers.unwrap_or_else(|| self.train.threads().max(self.test.threads()))
    }
}

/// Minibatches, evaluations and snapshots in the pipeline at once, beside the minibatches of which an asynchronous stage
/// runs forwards ahead: enough that the first stage always has its next inputs, few enough that an interrupt takes effect
/// soon.
pub const IN_FLIGHT: usize = 3;
/// The most minibatches under way at once: every node has room for so many commands and reports.
pub const MOST_UNDER_WAY: u64 = 64;

/// A minibatch to run.
#[derive(Clone, Debug)]
pub struct Minibatch {
    /// The minibatch's number within the phase, from 1.
    pub step: u64,
    /// Training or evaluation.
    pub phase: Phase,
    /// The epoch, which decides the augmentation.
    pub epoch: u64,
    /// The samples, in order.
    pub indices: Vec<usize>,
    /// M; at most the number of samples.
    pub microbatches: u32,
    /// What the nodes measure of the layers.
    pub measure: Measure,
    /// Whether every process keeps a timeline of the step.
    pub timeline: bool,
    /// The place between two drains of an asynchronous pipeline.
    pub place: Place,
}

/// The place of a minibatch between two drains of an asynchronous pipeline.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Whether the pipeline is empty before the minibatch.
    pub begins: bool,
    /// The minibatches that follow before the next drain, as far as stages run their forwards before the update of this
    /// one.
    pub following: Vec<Following>,
}

/// A minibatch that follows another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// N.
    pub samples: u32,
    /// M.
    pub microbatches: u32,
    /// What the nodes measure of the layers.
    pub measure: Measure,
    /// Whether every process keeps a timeline of the step.
    pub timeline: bool,
}

impl Minibatch {
    /// The command for a stage that follows `lane`, which begins at any step.
    pub fn work(&self, lane: &Lane) -> RunLane {
        let (samples, measure, timeline) = (self.indices.len() as u32, self.measure, self.timeline);
        let own = control::Minibatch { samples, measure, timeline };
        let following = self.place.following.iter();
        let following = following.map(|&Following { samples, measure, timeline, .. }| control::Minibatch {
            samples,
            measure,
            timeline,
        });
        let minibatches = std::iter::once(own).chain(following).take(lane.microbatches().len());
        RunLane { lane: lane.starting_at(self.step), minibatches: minibatches.collect() }
    }
}

/// The lanes of all stages for one minibatch.
#[derive(Clone)]
pub struct StepLanes {
    /// The actions up to the update of the step. In an asynchronous pipeline they are parts of longer lanes, with forwards
    /// of later steps.
    pub told: Arc<[Lane]>,
    /// The actions on the microbatches of the step, which the nodes report.
    pub own: Arc<[Lane]>,
}

/// Lanes without actions of other steps.
impl From<Arc<[Lane]>> for StepLanes {
    fn from(lanes: Arc<[Lane]>) -> Self {
        Self { told: lanes.clone(), own: lanes }
    }
}

/// The result of a minibatch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The minibatch's number within the phase.
    pub step: u64,
    /// Training or evaluation.
    pub phase: Phase,
    /// The epoch, which decided the augmentation.
    pub epoch: u64,
    /// N.
    pub samples: usize,
    /// Mean loss.
    pub loss: f64,
    /// Fraction of samples whose class came first.
    pub top1: f64,
    /// Fraction of samples whose class was among the first five.
    pub top5: f64,
    /// The network's answer for each sample of an evaluation, in order; none in training.
    pub guesses: Vec<Guess>,
    /// The report of each stage.
    pub stages: Vec<StepDone>,
    /// The report of each backward node of a training step, with its stage.
    pub backward: Vec<(u32, StepDone)>,
    /// The coordinator's own part in a step with a timeline.
    pub own: Option<OwnWork>,
}

/// An event of the pipeline; events come in the order of submission.
#[derive(Clone, Debug)]
pub enum Event {
    /// A minibatch is done at every node that had a part in it.
    Done(Outcome),
    /// Every node has written its state.
    Saved(Vec<SnapshotDone>),
    /// This many mirror steps are done at every node.
    Aligned(u64),
}

/// An item in the pipeline.
enum Pending {
    Minibatch {
        minibatch: Minibatch,
        /// The actions on its microbatches.
        lanes: Arc<[Lane]>,
        /// The number of updates after the minibatch.
        updates: u64,
    },
    Snapshot {
        /// The number of updates that the state has seen.
        updates: u64,
    },
    Align(Align),
}

/// An open pipeline.
pub struct Driver {
    /// The nodes, stages first.
    nodes: Vec<NodeStream>,
    audit: Audit,
    to_feeder: mpsc::Sender<Minibatch>,
    losses: mpsc::Receiver<BatchLoss>,
    pending: VecDeque<Pending>,
    /// The number of updates after everything that was submitted.
    updates: u64,
    failures: FailureCollector,
    tasks: JoinSet<()>,
    deadline: Duration,
    /// The number format of the links.
    wire: Kind,
    /// The first value of a training step that the format does not hold, in words.
    lost_signal: Option<String>,
    journal: Journal,
}

impl Driver {
    /// The means to audit this start of the run, also after its end.
    pub fn audit(&self) -> Audit {
        self.audit.clone()
    }

    /// The number of minibatches and snapshots under way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Puts a minibatch into the pipeline, whose stages follow `lanes`. The backward node of a stage follows the
    /// lane of its stage in training, and has no part in an evaluation.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn submit(&mut self, minibatch: Minibatch, lanes: StepLanes) -> Result<(), RunError> {
        if minibatch.timeline {
            self.journal.open(minibatch.phase, minibatch.step);
        }
        for node in &self.nodes {
            let Some(lane) = node.lane(&lanes.told) else { continue };
            self.send(node, Command::Lane(minibatch.work(lane))).await?;
        }
        let sent = self.to_feeder.send(minibatch.clone()).await;
        self.updates += u64::from(minibatch.phase == Phase::Train);
        self.pending.push_back(Pending::Minibatch { minibatch, lanes: lanes.own, updates: self.updates });
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failures.verdict().await),
        }
    }

    /// Makes every node write its state after the items submitted before, and `keep` older snapshots.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn snapshot(&mut self, keep: Keep) -> Result<(), RunError> {
        for node in &self.nodes {
            self.send(node, Command::Snapshot(keep.clone())).await?;
        }
        self.pending.push_back(Pending::Snapshot { updates: self.updates });
        Ok(())
    }

    /// Makes every node take mirror steps, before the first training minibatch.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn align(&mut self, steps: Align) -> Result<(), RunError> {
        for node in &self.nodes {
            self.send(node, Command::Align(steps)).await?;
        }
        self.pending.push_back(Pending::Align(steps));
        Ok(())
    }

    async fn send(&self, node: &NodeStream, command: Command) -> Result<(), RunError> {
        let sent = tokio::select! {
            biased;
            () = self.failures.ended() => false,
            sent = node.commands.send(command) => sent.is_ok(),
        };
        if sent { Ok(()) } else { Err(self.failures.verdict().await) }
    }

    /// Waits for the next event; `None` if nothing is under way.
    ///
    /// # Errors
    /// The run's failure, or the first part that did not come within the deadline.
    pub async fn next(&mut self) -> Result<Option<Event>, RunError> {
        let Some(pending) = self.pending.pop_front() else { return Ok(None) };
        let failures = self.failures.clone();
        let event = tokio::select! {
            biased;
            event = self.collect(pending) => event,
            () = failures.ended() => Err(None),
        };
        match event {
            Ok(event) => Ok(Some(event)),
            Err(Some(failure)) => Err(failure),
            Err(None) => Err(failures.verdict().await),
        }
    }

    /// Ends the run: nodes keep their state in memory and are idle again.
    pub async fn close(mut self) {
        self.nodes.clear();
        drop(self.to_feeder);
        // Nodes end their streams once the commands are closed; a stream that doesn't end is dropped.
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
        self.failures.end();
    }
}
