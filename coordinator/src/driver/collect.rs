//! Collects the parts of an item in the pipeline: the loss of a minibatch, and the reports of the nodes.

use super::deadline::Deadline;
use super::outcome::{Around, lost_signal, outcome};
use super::reports::Reported;
use super::stream::NodeStream;
use super::{Audit, Driver, Event, Minibatch, Outcome, Pending};
use crate::run_error::{Cause, RunError};
use proto::control::{Align, Report, SnapshotDone, StepDone};
use proto::lane::Lane;
use proto::link::Role;
use proto::microbatch::Phase;

impl Driver {
    /// Waits for every part of `pending`; `Err(None)` if the failure collector knows why a part is missing.
    pub(super) async fn collect(&mut self, pending: Pending) -> Result<Event, Option<RunError>> {
        let deadline = Deadline::after(self.deadline);
        match pending {
            Pending::Minibatch { minibatch, lanes, updates } => {
                self.minibatch(minibatch, &lanes, updates, &deadline).await.map(Event::Done)
            }
            Pending::Snapshot { updates } => self.saved(updates, &deadline).await.map(Event::Saved),
            Pending::Align(Align { done, steps }) => {
                self.aligned(done, done + steps, &deadline).await.map(Event::Aligned)
            }
        }
    }

    async fn minibatch(
        &mut self,
        minibatch: Minibatch,
        lanes: &[Lane],
        updates: u64,
        deadline: &Deadline,
    ) -> Result<Outcome, Option<RunError>> {
        let (phase, step) = (minibatch.phase, minibatch.step);
        let last = self.nodes.iter().rfind(|node| matches!(node.peer.role, Role::Stage(_)));
        let outputs = || match last {
            Some(last) => format!("outputs of {phase} step {step} from {}", last.peer),
            None => format!("outputs of {phase} step {step}"),
        };
        let batch = deadline.wait(self.losses.recv(), outputs).await?;
        let reports = self.steps(&minibatch, lanes, updates, deadline).await?;
        // The nodes that have no part in an evaluation come last.
        let peer = |node: usize| &self.nodes[node].peer;
        let lost = lost_signal(&reports, step, peer);
        let around = Around { peer, wire: self.wire, before: self.lost_signal.as_deref() };
        let mut outcome = outcome(minibatch, batch, reports, &around).map_err(Some)?;
        outcome.own = self.journal.take(phase, step);
        if phase == Phase::Train {
            // Weights that became infinite stay infinite, and a later loss may be the first to show it.
            self.lost_signal = self.lost_signal.take().or(lost);
        }
        Ok(outcome)
    }

    /// The checked report of each node that has a part in the minibatch, in the order of the nodes.
    async fn steps(
        &mut self,
        minibatch: &Minibatch,
        lanes: &[Lane],
        updates: u64,
        deadline: &Deadline,
    ) -> Result<Vec<StepDone>, Option<RunError>> {
        let &Minibatch { phase, step, measure, timeline, ref indices, .. } = minibatch;
        let due = format!("report of {phase} step {step}");
        let mut reports = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let Some(lane) = node.lane(lanes) else { continue };
            match node.report(deadline, &due).await? {
                Report::Step(done) if done.step == step && done.phase == phase => {
                    let reported = Reported { lane, samples: indices.len(), measure, updates, timeline };
                    if let Err(why) = node.reporting.check(&done, &reported) {
                        return Err(Some(untrue(&self.audit, at, node, &due, &why)));
                    }
                    reports.push(done);
                }
                other => return Err(Some(out_of_turn(node, &other))),
            }
        }
        Ok(reports)
    }

    async fn saved(
        &mut self,
        updates: u64,
        deadline: &Deadline,
    ) -> Result<Vec<SnapshotDone>, Option<RunError>> {
        let due = "report of a snapshot";
        let mut saved = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter_mut().enumerate() {
            match node.report(deadline, due).await? {
                Report::Snapshot(done) if done.updates == updates => saved.push(done),
                Report::Snapshot(done) => {
                    let why = format!("it is of update {}, and update {updates} is due", done.updates);
                    return Err(Some(untrue(&self.audit, at, node, due, &why)));
                }
                other => return Err(Some(out_of_turn(node, &other))),
            }
        }
        Ok(saved)
    }

    async fn aligned(&mut self, done: u64, then: u64, deadline: &Deadline) -> Result<u64, Option<RunError>> {
        let due = format!("report of mirror steps {} to {then}", done + 1);
        for node in &mut self.nodes {
            match node.report(deadline, &due).await? {
                Report::Aligned(now) if now == then => {}
                other => return Err(Some(out_of_turn(node, &other))),
            }
        }
        Ok(then)
    }
}

/// The failure for a report that cannot be true; the audit has the refusal. `at` is the node's place among all nodes.
fn untrue(audit: &Audit, at: usize, node: &NodeStream, due: &str, why: &str) -> RunError {
    let peer = &node.peer;
    let sentence =
        format!("the {due} from {peer} is not true: {why}; look whether a foreign program runs there");
    audit.refuse(at, &sentence);
    RunError::new(Cause::Violation, sentence)
}

fn out_of_turn(node: &NodeStream, report: &Report) -> RunError {
    RunError::node(format!("{} answered out of turn: {report:?}", node.peer))
}
