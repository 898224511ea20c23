//! The driver: the only part of a run that exchanges messages with nodes. It opens the pipeline, keeps it full, and
//! collects the results.
//!
//! ```text
//!            ┌─ feeder (thread) ──inputs──▶ stage 0 ──done──▶ drain
//! submit ────┼─ loss task ◀──logits── stage n-1;  loss task ──errors──▶ outbox ──▶ stage n-1
//!            └─ commands ──▶ every stage ──reports──▶ next
//! ```
//!
//! Feeding, the loss and draining are independent tasks: where one of them waits, the others go on.

mod alone;
mod audit;
mod connect;
mod deadline;
mod failures;
mod feed;
mod loss_task;
mod outcome;
mod precedence;
mod reports;
#[cfg(test)]
mod tests;

pub use alone::{Alone, alone};
pub use audit::{Audit, Ledgers, SETTLING};
pub use connect::{NodeAddress, Setup, open};
pub use failures::FailureCollector;
pub use outcome::{shown, wider};
pub use precedence::Precedence;

use crate::data::Loader;
use crate::run_error::{Cause, RunError};
use deadline::Deadline;
use loss_task::BatchLoss;
use outcome::{Around, lost_signal, outcome};
use proto::control::{Align, Command, Keep, Report, RunLane, SnapshotDone, StepDone};
use proto::lane::Lane;
use proto::link::Peer;
use proto::microbatch::Phase;
use proto::tensor::Kind;
use reports::{Reported, Reporting};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The data of a run.
#[derive(Clone)]
pub struct Sets {
    /// Training samples, shuffled and augmented.
    pub train: Loader,
    /// Test samples without augmentation.
    pub test: Loader,
}

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
    /// Whether the layers are measured after the update.
    pub measure: bool,
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
    /// The report of each stage.
    pub stages: Vec<StepDone>,
}

/// An event of the pipeline; events come in the order of submission.
#[derive(Clone, Debug)]
pub enum Event {
    /// A minibatch is done at every stage.
    Done(Outcome),
    /// Every stage has written its state.
    Saved(Vec<SnapshotDone>),
    /// This many mirror steps are done at every stage.
    Aligned(u64),
}

/// An item in the pipeline.
enum Pending {
    Minibatch {
        minibatch: Minibatch,
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
    stages: Vec<Stage>,
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
    /// The error signal of the newest training step that the format does not hold, in words.
    lost_signal: Option<String>,
}

/// One stage's control stream.
struct Stage {
    peer: Peer,
    reporting: Reporting,
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
}

impl Stage {
    /// The next report of this stage; `due` names it in messages.
    async fn report(&mut self, deadline: &Deadline, due: &str) -> Result<Report, Option<RunError>> {
        deadline.wait(self.reports.recv(), || format!("{due} from {}", self.peer)).await
    }
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

    /// Puts a minibatch into the pipeline; `lanes` has one lane per stage.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn submit(&mut self, minibatch: Minibatch, lanes: Arc<[Lane]>) -> Result<(), RunError> {
        for (stage, lane) in self.stages.iter().zip(&*lanes) {
            let lane = lane.starting_at(minibatch.step);
            let work = RunLane::of_one_step(lane, minibatch.indices.len() as u32, minibatch.measure);
            self.send(stage, Command::Lane(work)).await?;
        }
        let sent = self.to_feeder.send(minibatch.clone()).await;
        self.updates += u64::from(minibatch.phase == Phase::Train);
        self.pending.push_back(Pending::Minibatch { minibatch, lanes, updates: self.updates });
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failures.verdict().await),
        }
    }

    /// Makes every stage write its state after the items submitted before, and `keep` older snapshots.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn snapshot(&mut self, keep: Keep) -> Result<(), RunError> {
        for stage in &self.stages {
            self.send(stage, Command::Snapshot(keep.clone())).await?;
        }
        self.pending.push_back(Pending::Snapshot { updates: self.updates });
        Ok(())
    }

    /// Makes every stage take mirror steps, before the first training minibatch.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn align(&mut self, steps: Align) -> Result<(), RunError> {
        for stage in &self.stages {
            self.send(stage, Command::Align(steps)).await?;
        }
        self.pending.push_back(Pending::Align(steps));
        Ok(())
    }

    async fn send(&self, stage: &Stage, command: Command) -> Result<(), RunError> {
        let sent = tokio::select! {
            biased;
            () = self.failures.ended() => false,
            sent = stage.commands.send(command) => sent.is_ok(),
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

    /// Waits for every part of `pending`; `Err(None)` if the failure collector knows why a part is missing.
    async fn collect(&mut self, pending: Pending) -> Result<Event, Option<RunError>> {
        let deadline = Deadline::after(self.deadline);
        match pending {
            Pending::Minibatch { minibatch, lanes, updates } => {
                let (phase, step) = (minibatch.phase, minibatch.step);
                let outputs = || match self.stages.last() {
                    Some(last) => format!("outputs of {phase} step {step} from {}", last.peer),
                    None => format!("outputs of {phase} step {step}"),
                };
                let batch = deadline.wait(self.losses.recv(), outputs).await?;
                let mut reports = Vec::with_capacity(self.stages.len());
                let due = format!("report of {phase} step {step}");
                for (at, (stage, lane)) in self.stages.iter_mut().zip(&*lanes).enumerate() {
                    match stage.report(&deadline, &due).await? {
                        Report::Step(done) if done.step == step && done.phase == phase => {
                            let (samples, measure) = (minibatch.indices.len(), minibatch.measure);
                            let reported = Reported { lane, samples, measure, updates };
                            let checked = stage.reporting.check(&done, &reported);
                            if let Err(why) = checked {
                                return Err(Some(untrue(&self.audit, at, stage, &due, &why)));
                            }
                            reports.push(done);
                        }
                        other => return Err(Some(out_of_turn(stage, &other))),
                    }
                }
                let peer = |stage: usize| &self.stages[stage].peer;
                let around = Around { peer, wire: self.wire, before: self.lost_signal.as_deref() };
                let outcome = outcome(minibatch, batch, reports, &around).map_err(Some)?;
                if phase == Phase::Train {
                    self.lost_signal = lost_signal(&outcome.stages, step, peer);
                }
                Ok(Event::Done(outcome))
            }
            Pending::Snapshot { updates } => {
                let mut saved = Vec::with_capacity(self.stages.len());
                for (at, stage) in self.stages.iter_mut().enumerate() {
                    match stage.report(&deadline, "report of a snapshot").await? {
                        Report::Snapshot(done) if done.updates == updates => saved.push(done),
                        Report::Snapshot(done) => {
                            let why =
                                format!("it is of update {}, and update {updates} is due", done.updates);
                            let due = "report of a snapshot";
                            return Err(Some(untrue(&self.audit, at, stage, due, &why)));
                        }
                        other => return Err(Some(out_of_turn(stage, &other))),
                    }
                }
                Ok(Event::Saved(saved))
            }
            Pending::Align(Align { done, steps }) => {
                let due = format!("report of mirror steps {} to {}", done + 1, done + steps);
                for stage in &mut self.stages {
                    match stage.report(&deadline, &due).await? {
                        Report::Aligned(now) if now == done + steps => {}
                        other => return Err(Some(out_of_turn(stage, &other))),
                    }
                }
                Ok(Event::Aligned(done + steps))
            }
        }
    }

    /// Ends the run: nodes keep their state in memory and are idle again.
    pub async fn close(mut self) {
        self.stages.clear();
        drop(self.to_feeder);
        // Nodes end their streams once the commands are closed; a stream that doesn't end is dropped.
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
        self.failures.end();
    }
}

/// The violation of a report that says what it cannot say.
/// The failure for a report that says what cannot be so; the audit has the refusal.
fn untrue(audit: &Audit, at: usize, stage: &Stage, due: &str, why: &str) -> RunError {
    let peer = &stage.peer;
    let sentence =
        format!("the {due} from {peer} is not true: {why}; look whether a foreign program runs there");
    audit.refuse(at, &sentence);
    RunError::new(Cause::Violation, sentence)
}

fn out_of_turn(stage: &Stage, report: &Report) -> RunError {
    RunError::node(format!("{} answered out of turn: {report:?}", stage.peer))
}
