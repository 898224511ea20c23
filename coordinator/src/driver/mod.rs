//! The driver: the one place of a run that does I/O. It opens the pipeline, keeps it full, and collects
//! what comes out.
//!
//! ```text
//!            ┌─ feeder (thread) ──inputs──▶ stage 0 ──done──▶ drain
//! submit ────┼─ judge ◀──logits── stage n-1;  judge ──errors──▶ outbox ──▶ stage n-1
//!            └─ commands ──▶ every stage ──reports──▶ next
//! ```
//!
//! Feeding, judging and draining are independent tasks: where one of them waits, the others go on.

mod alone;
mod connect;
mod deadline;
mod failures;
mod feed;
mod loss_task;
#[cfg(test)]
mod tests;

pub use alone::{Alone, alone};
pub use connect::{NodeAddress, Setup, open};
pub use failures::{FailureCollector, Precedence};

use crate::data::Loader;
use crate::failure::{Cause, Failure};
use deadline::Deadline;
use loss_task::BatchLoss;
use proto::control::{Align, Command, Keep, Report, RunLane, SnapshotDone, StepDone};
use proto::lane::{Lane, Phase};
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
    judged: mpsc::Receiver<BatchLoss>,
    pending: VecDeque<Pending>,
    board: FailureCollector,
    tasks: JoinSet<()>,
    deadline: Duration,
}

/// One stage's control stream.
struct Stage {
    address: String,
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
}

impl Stage {
    /// The next report of this stage, which is `due`.
    async fn report(
        &mut self,
        index: usize,
        patience: &Deadline,
        due: &str,
    ) -> Result<Report, Option<Failure>> {
        let what = || format!("{due} from stage {index} at {}", self.address);
        patience.wait(self.reports.recv(), what).await
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

    /// Placement processes that the run depends on report their end.
    pub fn board(&self) -> FailureCollector {
        self.board.clone()
    }

    /// Puts a minibatch into the pipeline; `lanes` has one lane per stage.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn submit(&mut self, minibatch: Minibatch, lanes: &[Lane]) -> Result<(), Failure> {
        for (stage, lane) in self.stages.iter().zip(lanes) {
            let lane = lane.starting_at(minibatch.step);
            let work = RunLane::of_one_step(lane, minibatch.indices.len() as u32, minibatch.measure);
            self.send(stage, Command::Lane(work)).await?;
        }
        let sent = self.to_feeder.send(minibatch.clone()).await;
        self.pending.push_back(Pending::Minibatch(minibatch));
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(self.board.verdict().await),
        }
    }

    /// Has every stage write its state after what was put in before, and `keep` older ones.
    ///
    /// # Errors
    /// The run's failure, if it has failed.
    pub async fn snapshot(&mut self, keep: Keep) -> Result<(), Failure> {
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
    pub async fn align(&mut self, steps: Align) -> Result<(), Failure> {
        for stage in &self.stages {
            self.send(stage, Command::Align(steps)).await?;
        }
        self.pending.push_back(Pending::Align(steps));
        Ok(())
    }

    async fn send(&self, stage: &Stage, command: Command) -> Result<(), Failure> {
        let sent = tokio::select! {
            biased;
            () = self.board.ended() => false,
            sent = stage.commands.send(command) => sent.is_ok(),
        };
        if sent { Ok(()) } else { Err(self.board.verdict().await) }
    }

    /// The next thing to come out; `None` where nothing is under way.
    ///
    /// # Errors
    /// The run's failure, or the first part that did not come within the deadline.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        let Some(pending) = self.pending.pop_front() else { return Ok(None) };
        let board = self.board.clone();
        let event = tokio::select! {
            biased;
            event = self.collect(pending) => event,
            () = board.ended() => Err(None),
        };
        match event {
            Ok(event) => Ok(Some(event)),
            Err(Some(failure)) => Err(failure),
            Err(None) => Err(board.verdict().await),
        }
    }

    /// Waits for every part of `pending`; `Err(None)` where the board knows why one is missing.
    async fn collect(&mut self, pending: Pending) -> Result<Event, Option<Failure>> {
        let patience = Deadline::of(self.deadline);
        let count = self.stages.len();
        match pending {
            Pending::Minibatch(minibatch) => {
                let (phase, step) = (minibatch.phase, minibatch.step);
                let logits = || match self.stages.last() {
                    Some(last) => {
                        format!("outputs of {phase} step {step} from stage {} at {}", count - 1, last.address)
                    }
                    None => format!("outputs of {phase} step {step}"),
                };
                let judged = patience.wait(self.judged.recv(), logits).await?;
                let mut stages = Vec::with_capacity(count);
                for (index, stage) in self.stages.iter_mut().enumerate() {
                    let due = format!("report of {phase} step {step}");
                    match stage.report(index, &patience, &due).await? {
                        Report::Step(done) if done.step == step && done.phase == phase => stages.push(done),
                        other => return Err(Some(out_of_turn(index, stage, &other))),
                    }
                }
                let address = |stage: usize| self.stages[stage].address.as_str();
                outcome(minibatch, judged, stages, address).map(Event::Done).map_err(Some)
            }
            Pending::Snapshot => {
                let mut saved = Vec::with_capacity(count);
                for (index, stage) in self.stages.iter_mut().enumerate() {
                    match stage.report(index, &patience, "report of a snapshot").await? {
                        Report::Snapshot(done) => saved.push(done),
                        other => return Err(Some(out_of_turn(index, stage, &other))),
                    }
                }
                Ok(Event::Saved(saved))
            }
            Pending::Align(Align { done, steps }) => {
                let due = format!("report of mirror steps {} to {}", done + 1, done + steps);
                for (index, stage) in self.stages.iter_mut().enumerate() {
                    match stage.report(index, &patience, &due).await? {
                        Report::Aligned(now) if now == done + steps => {}
                        other => return Err(Some(out_of_turn(index, stage, &other))),
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
        self.board.end();
    }
}

fn out_of_turn(index: usize, stage: &Stage, report: &Report) -> Failure {
    Failure::node(format!("stage {index} at {} answered out of turn: {report:?}", stage.address))
}

/// Puts the parts together; a loss that is not finite ends the run.
fn outcome<'a>(
    minibatch: Minibatch,
    judged: BatchLoss,
    stages: Vec<StepDone>,
    address: impl Fn(usize) -> &'a str,
) -> Result<Outcome, Failure> {
    let Minibatch { step, phase, epoch, indices, .. } = minibatch;
    let miscounted = |(_, done): &(usize, &StepDone)| phase == Phase::Train && done.updates != step;
    if let Some((stage, done)) = stages.iter().enumerate().find(miscounted) {
        let (address, updates) = (address(stage), done.updates);
        return Err(Failure::new(
            Cause::Violation,
            format!(
                "stage {stage} at {address} has made {updates} updates after {phase} step {step}: an update was lost or doubled; go back to a snapshot before it with --resume STEP"
            ),
        ));
    }
    if judged.finite && judged.loss.is_finite() {
        let (top1, top5) = judged.accuracy;
        return Ok(Outcome {
            step,
            phase,
            epoch,
            samples: indices.len(),
            loss: judged.loss,
            top1,
            top5,
            stages,
        });
    }
    let first = stages.iter().position(|done| !done.finite);
    let culprit = first.map_or_else(
        || "every stage's output was finite, so the loss itself overflowed".to_owned(),
        |stage| format!("stage {stage} at {} was the first whose output was not finite", address(stage)),
    );
    let advice = "lower optimizer.lr or the rule's coefficients";
    Err(Failure::new(
        Cause::Diverged,
        format!("the loss of {phase} step {step} is not finite; {culprit}: {advice}"),
    ))
}
