//! The processes of a step with their clocks aligned.

use super::clocks::{Clocks, Crossing, Estimate, correct};
use super::message::{Ends, Key, joined};
use crate::driver::{Outcome, OwnWork};
use proto::control::{Span, StepDone};
use proto::link::Role;
use proto::timeline::Transfer;
use std::collections::BTreeMap;

/// A step with a timeline, and the offsets of its processes' clocks.
pub struct Aligned<'a> {
    /// The nodes' reports: each stage's, followed by its backward node's.
    pub(super) nodes: Vec<(Role, &'a StepDone)>,
    /// The coordinator's own work.
    pub(super) own: &'a OwnWork,
    pub(super) messages: BTreeMap<Key, Ends>,
    estimates: BTreeMap<Role, Estimate>,
}

impl<'a> Aligned<'a> {
    /// Aligns the clocks of `outcome`, and adds its exchanges to `clocks`; `None` for a step without a timeline.
    pub fn of(outcome: &'a Outcome, clocks: &mut Clocks) -> Option<Self> {
        let own = outcome.own.as_ref()?;
        let nodes = nodes(outcome);
        let mut now = 0;
        for (role, done) in &nodes {
            let exchange = done.timeline.as_ref()?.exchange;
            clocks.add(*role, &exchange);
            now = now.max(exchange.heard_ns);
        }
        let of_nodes = nodes.iter().map(|(role, done)| (*role, transfers(done)));
        let messages = joined(of_nodes.chain([(Role::Coordinator, own.transfers.as_slice())]));
        let processes = nodes.iter().map(|(role, _)| *role).chain([Role::Coordinator]);
        let mut estimates = processes.map(|role| (role, clocks.at(role, now))).collect();
        let crossings: Vec<Crossing> = messages.iter().filter_map(crossing).collect();
        correct(&mut estimates, &crossings);
        Some(Self { nodes, own, messages, estimates })
    }

    /// The time of the coordinator's clock when the clock of `process` shows `ns`, in nanoseconds since the Unix epoch.
    pub fn time(&self, process: Role, ns: u64) -> i64 {
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        ns.saturating_add(self.estimate(process).offset_ns)
    }

    pub(super) fn estimate(&self, process: Role) -> Estimate {
        self.estimates.get(&process).copied().unwrap_or(Estimate { offset_ns: 0, uncertainty_ns: 0 })
    }

    /// Every process, and what its clock was set forward by, with the largest error of that, in nanoseconds.
    pub fn offsets(&self) -> impl Iterator<Item = (Role, i64, u64)> {
        self.estimates.iter().map(|(role, known)| (*role, known.offset_ns, known.uncertainty_ns))
    }

    /// Every message: sender, receiver, kind, microbatch and form, with both ends.
    pub fn messages(&self) -> impl Iterator<Item = (&Key, Option<&Transfer>, Option<&Transfer>)> {
        self.messages.iter().map(|(key, ends)| (key, ends.sender.as_ref(), ends.receiver.as_ref()))
    }

    /// The coordinator's own work in the step.
    pub fn own(&self) -> &OwnWork {
        self.own
    }
}

/// The reports by their roles: each stage's, followed by its backward node's.
pub(super) fn nodes(outcome: &Outcome) -> Vec<(Role, &StepDone)> {
    let stages = (0..).map(Role::Stage).zip(&outcome.stages);
    let backward = outcome.backward.iter().map(|(stage, done)| (Role::Backward(*stage), done));
    let mut nodes: Vec<(Role, &StepDone)> = stages.chain(backward).collect();
    nodes.sort_by_key(|(role, _)| match role {
        Role::Stage(stage) => (*stage, false),
        Role::Backward(stage) => (*stage, true),
        Role::Coordinator | Role::Node => (u32::MAX, true),
    });
    nodes
}

fn transfers(done: &StepDone) -> &[Transfer] {
    done.timeline.as_ref().map_or(&[], |timeline| timeline.transfers.as_slice())
}

/// The departure and the arrival of a message whose ends are both known. The transport cannot begin before the sender
/// does, nor can the receiver have the message before the transport.
fn crossing((&(from, to, ..), ends): (&Key, &Ends)) -> Option<Crossing> {
    let (sender, receiver) = (ends.sender?, ends.receiver?);
    let departed_ns = sender.transport_ns.unwrap_or(sender.start_ns);
    let arrived_ns = receiver.transport_ns.unwrap_or(receiver.end_ns);
    Some(Crossing { from, to, departed_ns, arrived_ns })
}

/// The end of a node's last action, by its own clock. B's part of U may follow in the next step.
pub(super) fn end_ns(done: &StepDone) -> Option<u64> {
    done.spans.iter().filter(|span| !span.backward).map(|span: &Span| span.end_ns).max()
}
