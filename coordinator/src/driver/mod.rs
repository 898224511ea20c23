//! The driver: the one place of a run that talks to nodes. It opens the pipeline, keeps it full, and collects
//! what comes out.
//!
//! ```text
//!            ┌─ feeder (thread) ──inputs──▶ stage 0 ──done──▶ drain
//! submit ────┼─ loss task ◀──logits── stage n-1;  loss task ──errors──▶ outbox ──▶ stage n-1
//!            └─ commands ──▶ every stage ──reports──▶ next
//! ```
//!
//! Feeding, the loss and draining are independent tasks: where one of them waits, the others go on.

mod alone;
mod connect;
mod deadline;
mod failures;
mod feed;
mod loss_task;
mod precedence;
#[cfg(test)]
mod tests;

pub use alone::{Alone, alone};
pub use connect::{NodeAddress, Setup, open};
pub use failures::FailureCollector;
pub use precedence::Precedence;

use crate::data::Loader;
use crate::run_error::{Cause, RunError};
use deadline::Deadline;
use loss_task::BatchLoss;
use proto::control::{Align, Command, Keep, Report, RunLane, SnapshotDone, StepDone};
use proto::lane::{Lane, Phase};
use proto::link::Peer;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The data of a run.
#[derive(Clone)]
pub struct Sets {
    /// Shuffled and varied.
    pub train: Loader,
    /// As it is.
    pub test: Loader,
}

/// One minibatch to be run.
#[derive(Clone, Debug)]
pub struct Minibatch {
    /// Its number within the phase, from 1.
    pub step: u64,
    /// Train or evaluate.
    pub phase: Phase,
    /// Decides how samples are varied.
    pub epoch: u64,
    /// Which samples, in order.
    pub indices: Vec<usize>,
    /// M; at most as many as there are samples.
    pub microbatches: u32,
    /// Whether the layers are measured after the update.
    pub measure: bool,
}

/// What came of a minibatch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its number within the phase.
    pub step: u64,
    /// Train or evaluate.
    pub phase: Phase,
    /// Decides how samples were varied.
    pub epoch: u64,
    /// N.
    pub samples: usize,
    /// Mean loss.
    pub loss: f64,
    /// Fraction of samples whose class came first.
    pub top1: f64,
    /// Fraction of samples whose class was among the first five.
    pub top5: f64,
    /// What each stage says of it.
    pub stages: Vec<StepDone>,
}

/// What comes out of the pipeline, in the order in which it was put in.
#[derive(Clone, Debug)]
pub enum Event {
    /// A minibatch is done at every stage.
    Done(Outcome),
    /// Every stage has written its state.
    Saved(Vec<SnapshotDone>),
    /// So many mirror steps are done at every stage.
    Aligned(u64),
}

/// What was put in and has not come out yet.
enum Pending {
    Minibatch(Minibatch),
    Snapshot,
    Align(Align),
}

/// An open pipeline.
pub struct Driver {
    stages: Vec<Stage>,
    to_feeder: mpsc::Sender<Minibatch>,
    losses: mpsc::Receiver<BatchLoss>,
    pending: VecDeque<Pending>,
    failures: FailureCollector,
    tasks: JoinSet<()>,
    deadline: Duration,
}

/// One stage's control stream.
struct Stage {
    peer: Peer,
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
}

impl Stage {
    /// The next report of this stage, which is `due`.
    async fn report(&mut self, deadline: &Deadline, due: &str) -> Result<Report, Option<RunError>> {
        deadline.wait(self.reports.recv(), || format!("{due} from {}", self.peer)).await
    }
}

impl Driver {
    /// How many minibatches and snapshots are under way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether a snapshot is under way.
    pub fn saving(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending, Pending::Snapshot))
    }

    /// Puts a minibatch into the pipeline; `lanes` has one lane per stage.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn submit(&mut self, minibatch: Minibatch, lanes: &[Lane]) -> Result<(), RunError> {
        for (stage, lane) in self.stages.iter().zip(lanes) {
            let lane = lane.starting_at(minibatch.step);
            let work = RunLane::of_one_step(lane, minibatch.indices.len() as u32, minibatch.measure);
            self.send(stage, Command::Lane(work)).await?;
        }
        let sent = self.to_feeder.send(minibatch.clone()).await;
        self.pending.push_back(Pending::Minibatch(minibatch));
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failures.verdict().await),
        }
    }

    /// Has every stage write its state after what was put in before, and `keep` older ones.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn snapshot(&mut self, keep: Keep) -> Result<(), RunError> {
        for stage in &self.stages {
            self.send(stage, Command::Snapshot(keep.clone())).await?;
        }
        self.pending.push_back(Pending::Snapshot);
        Ok(())
    }

    /// Has every stage take mirror steps, before the first minibatch that trains.
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

    /// The next thing to come out; `None` where nothing is under way.
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

    /// Waits for every part of `pending`; `Err(None)` where the failure collector knows why one is missing.
    async fn collect(&mut self, pending: Pending) -> Result<Event, Option<RunError>> {
        let deadline = Deadline::after(self.deadline);
        match pending {
            Pending::Minibatch(minibatch) => {
                let (phase, step) = (minibatch.phase, minibatch.step);
                let outputs = || match self.stages.last() {
                    Some(last) => format!("outputs of {phase} step {step} from {}", last.peer),
                    None => format!("outputs of {phase} step {step}"),
                };
                let batch = deadline.wait(self.losses.recv(), outputs).await?;
                let mut reports = Vec::with_capacity(self.stages.len());
                let due = format!("report of {phase} step {step}");
                for stage in &mut self.stages {
                    match stage.report(&deadline, &due).await? {
                        Report::Step(done) if done.step == step && done.phase == phase => reports.push(done),
                        other => return Err(Some(out_of_turn(stage, &other))),
                    }
                }
                outcome(minibatch, batch, reports, |stage| &self.stages[stage].peer)
                    .map(Event::Done)
                    .map_err(Some)
            }
            Pending::Snapshot => {
                let mut saved = Vec::with_capacity(self.stages.len());
                for stage in &mut self.stages {
                    match stage.report(&deadline, "report of a snapshot").await? {
                        Report::Snapshot(done) => saved.push(done),
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
        // Nodes end their streams once the commands are closed; what doesn't end is dropped.
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
        self.failures.end();
    }
}

fn out_of_turn(stage: &Stage, report: &Report) -> RunError {
    RunError::node(format!("{} answered out of turn: {report:?}", stage.peer))
}

/// Puts the parts together; a loss that is not finite ends the run.
fn outcome<'a>(
    minibatch: Minibatch,
    batch: BatchLoss,
    stages: Vec<StepDone>,
    peer: impl Fn(usize) -> &'a Peer,
) -> Result<Outcome, RunError> {
    let Minibatch { step, phase, epoch, indices, .. } = minibatch;
    let miscounted = |(_, done): &(usize, &StepDone)| phase == Phase::Train && done.updates != step;
    if let Some((stage, done)) = stages.iter().enumerate().find(miscounted) {
        let (peer, updates) = (peer(stage), done.updates);
        return Err(RunError::new(
            Cause::Violation,
            format!(
                "{peer} has made {updates} updates after {phase} step {step}: an update was lost or doubled; go back to a snapshot before it with --resume STEP"
            ),
        ));
    }
    if batch.finite && batch.loss.is_finite() {
        let (top1, top5) = batch.accuracy;
        return Ok(Outcome {
            step,
            phase,
            epoch,
            samples: indices.len(),
            loss: batch.loss,
            top1,
            top5,
            stages,
        });
    }
    let first = stages.iter().position(|done| !done.finite);
    let culprit = first.map_or_else(
        || "every stage's output was finite, so the loss itself overflowed".to_owned(),
        |stage| format!("{} was the first whose output was not finite", peer(stage)),
    );
    let advice = "lower optimizer.lr or the rule's coefficients";
    Err(RunError::new(
        Cause::Diverged,
        format!("the loss of {phase} step {step} is not finite; {culprit}: {advice}"),
    ))
}
