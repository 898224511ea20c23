//! The choice of the step that a run's record keeps: of the last steps with a timeline, the one of median duration.

use super::aligned::{end_ns, nodes};
use super::clocks::Clocks;
use super::message::{Ends, Key, Message, word};
use super::recent::Recent;
use super::{ActionTime, Aligned, ProcessLane, StepTimeline, TaskTime};
use crate::driver::{Outcome, TaskSpan};
use proto::control::{Span, StepDone};
use proto::link::Role;
use proto::microbatch::Phase;
use proto::timeline::Transfer;
use std::collections::{BTreeMap, VecDeque};

/// The steps from which one is chosen: the last of those with a timeline.
const CANDIDATES: usize = 9;
/// The most actions and messages of all candidates together, which stay in memory.
const MOST: usize = 1 << 18;

/// The last steps with a timeline, and what is known about the nodes' clocks.
#[derive(Default)]
pub struct Keeper {
    clocks: Clocks,
    /// The end of the step before at each node, by the node's own clock, if nothing else ran since.
    before: Option<(u64, BTreeMap<Role, u64>)>,
    candidates: VecDeque<Candidate>,
    /// The actions of the last steps, of which some ran between those of a candidate.
    recent: Recent,
    /// The cores that all nodes share, and the threads of each node.
    host: Option<(usize, u32)>,
    /// Whether the choice may have changed since it was written.
    changed: bool,
}

/// A step that may be chosen.
#[derive(Clone, Debug)]
struct Candidate {
    timeline: StepTimeline,
    /// Whether the step began with the end of the one before and measured no layer: it is like most other steps.
    usual: bool,
    /// The beginning of the step in nanoseconds of the coordinator's clock, and what each node's clock was set forward by.
    began: i64,
    offsets: BTreeMap<Role, i64>,
}

impl Candidate {
    /// Adds the actions of another step that ran between those of this one, for each node.
    fn add(&mut self, spans: &BTreeMap<Role, Vec<Span>>) {
        for lane in &mut self.timeline.lanes {
            let (Some(spans), Some(offset)) = (spans.get(&lane.of), self.offsets.get(&lane.of)) else {
                continue;
            };
            let own = lane.actions.iter().filter(|action| !action.backward);
            let extent = own.fold([f64::INFINITY, f64::NEG_INFINITY], |[first, last], action| {
                [first.min(action.start_s), last.max(action.end_s)]
            });
            let time = |ns: u64| (ns as i64).saturating_add(*offset).saturating_sub(self.began) as f64 / 1e9;
            let others = spans.iter().map(|span| ActionTime {
                action: format!("{:#}", span.action),
                backward: false,
                start_s: time(span.start_ns),
                end_s: time(span.end_ns),
            });
            lane.others.extend(others.filter(|other| other.start_s < extent[1] && other.end_s > extent[0]));
        }
    }
}

impl Keeper {
    /// A keeper of the timelines of nodes that share so many cores with so many threads each, or that do not share a host
    /// with the coordinator.
    pub fn new(host: Option<(usize, u32)>) -> Self {
        Self { host, ..Self::default() }
    }

    /// Takes a minibatch, and returns it on one clock if it has a timeline.
    pub fn add<'a>(&mut self, outcome: &'a Outcome) -> Option<Aligned<'a>> {
        let aligned = Aligned::of(outcome, &mut self.clocks);
        if outcome.phase != Phase::Train {
            self.interrupted();
            return aligned;
        }
        let before = self.before.take().filter(|(step, _)| step + 1 == outcome.step);
        let ends = nodes(outcome).into_iter().filter_map(|(role, done)| Some((role, end_ns(done)?)));
        self.before = Some((outcome.step, ends.collect()));
        let spans = self.recent.add(outcome.step, nodes(outcome));
        for candidate in self.candidates.iter_mut().filter(|one| one.timeline.step < outcome.step) {
            candidate.add(spans);
        }
        if let Some(aligned) = &aligned {
            let before = before.map(|(_, ends)| ends);
            let usual = before.is_some() && outcome.stages.iter().all(|done| done.layers.is_empty());
            let timeline = timeline(aligned, outcome.step, before.as_ref(), self.host);
            let (began, _) = extent(aligned, before.as_ref());
            let offsets = aligned.offsets().map(|(role, offset, _)| (role, offset)).collect();
            let mut candidate = Candidate { timeline, usual, began, offsets };
            self.recent.before(outcome.step).for_each(|spans| candidate.add(spans));
            self.candidates.push_back(candidate);
            self.changed = true;
            while self.candidates.len() > CANDIDATES || (self.candidates.len() > 1 && self.size() > MOST) {
                self.candidates.pop_front();
            }
        }
        aligned
    }

    /// The nodes have been started again, and their clocks with them.
    pub fn restarted(&mut self) {
        *self = Self::new(self.host);
    }

    /// Something other than a training step ran: the next step begins with its own first action.
    pub fn interrupted(&mut self) {
        self.before = None;
    }

    /// The representative step, if it may be another one than that of the last call.
    pub fn chosen(&mut self) -> Option<&StepTimeline> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let steps: Vec<(f64, bool)> =
            self.candidates.iter().map(|step| (step.timeline.seconds, step.usual)).collect();
        representative(&steps).map(|at| &self.candidates[at].timeline)
    }

    fn size(&self) -> usize {
        let of_lane = |lane: &ProcessLane| lane.actions.len() + lane.others.len() + lane.tasks.len();
        let size = |step: &Candidate| {
            step.timeline.messages.len() + step.timeline.lanes.iter().map(of_lane).sum::<usize>()
        };
        self.candidates.iter().map(size).sum()
    }
}

/// The place of the step of median duration among the usual ones, or among all where none is usual. Each step is its
/// duration and whether it is usual.
fn representative(steps: &[(f64, bool)]) -> Option<usize> {
    let any = steps.iter().any(|(_, usual)| *usual);
    let mut order: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].1 || !any).collect();
    order.sort_by(|a, b| steps[*a].0.total_cmp(&steps[*b].0));
    order.get(order.len().saturating_sub(1) / 2).copied()
}

/// The step of `aligned` in seconds since its beginning. `before` has the end of the step before at each node.
fn timeline(
    aligned: &Aligned<'_>,
    step: u64,
    before: Option<&BTreeMap<Role, u64>>,
    host: Option<(usize, u32)>,
) -> StepTimeline {
    let (began, seconds) = extent(aligned, before);
    let at = |process: Role, ns: u64| (aligned.time(process, ns).saturating_sub(began)) as f64 / 1e9;
    let lane = |of: Role| {
        let estimate = aligned.estimate(of);
        let (offset_s, uncertainty_s) =
            (estimate.offset_ns as f64 / 1e9, estimate.uncertainty_ns as f64 / 1e9);
        let [actions, others] = [Vec::new(), Vec::new()];
        ProcessLane { of, offset_s, uncertainty_s, actions, others, tasks: Vec::new() }
    };
    let task = |span: &TaskSpan| {
        let [start_s, end_s] = [span.start_ns, span.end_ns].map(|ns| at(Role::Coordinator, ns));
        TaskTime { task: span.task, microbatch: span.microbatch, start_s, end_s }
    };
    let own = ProcessLane { tasks: aligned.own.tasks.iter().map(task).collect(), ..lane(Role::Coordinator) };
    let node = |&(role, done): &(Role, &StepDone)| {
        let action = |span: &Span| {
            let [start_s, end_s] = [span.start_ns, span.end_ns].map(|ns| at(role, ns));
            ActionTime { action: span.action.to_string(), backward: span.backward, start_s, end_s }
        };
        ProcessLane { actions: done.spans.iter().map(action).collect(), ..lane(role) }
    };
    let mut messages: Vec<Message> = aligned.messages.iter().map(|message| joined(message, &at)).collect();
    let first = |message: &Message| message.begun_s.or(message.awaited_s).unwrap_or(0.0);
    messages.sort_by(|a, b| first(a).total_cmp(&first(b)));
    StepTimeline {
        step,
        seconds,
        cores: host.map(|(cores, _)| cores),
        threads: host.map(|(_, threads)| threads),
        lanes: [own].into_iter().chain(aligned.nodes.iter().map(node)).collect(),
        messages,
    }
}

/// The beginning of the step in nanoseconds of the coordinator's clock, and its duration in seconds. Where the step before
/// is known, the duration is the mean over the stages of the time between the two ends: no clock has to be compared with
/// another for it.
fn extent(aligned: &Aligned<'_>, before: Option<&BTreeMap<Role, u64>>) -> (i64, f64) {
    let stages = || aligned.nodes.iter().filter(|(role, _)| matches!(role, Role::Stage(_)));
    let ends = |&(role, done): &(Role, &StepDone)| Some(aligned.time(role, end_ns(done)?));
    let end = stages().filter_map(ends).max().unwrap_or(0);
    let since =
        |&(role, done): &(Role, &StepDone)| Some(end_ns(done)?.saturating_sub(*before?.get(&role)?) as f64);
    let periods: Vec<f64> = stages().filter_map(since).collect();
    if !periods.is_empty() {
        let seconds = periods.iter().sum::<f64>() / periods.len() as f64 / 1e9;
        return (end.saturating_sub((seconds * 1e9) as i64), seconds);
    }
    let starts = |&(role, done): &(Role, &StepDone)| Some(aligned.time(role, done.spans.first()?.start_ns));
    let start = stages().filter_map(starts).min().unwrap_or(end);
    (start, end.saturating_sub(start) as f64 / 1e9)
}

/// A message in seconds; `at` turns the time of a process into seconds.
fn joined(
    (&(from, to, carried, microbatch, form), ends): (&Key, &Ends),
    at: &impl Fn(Role, u64) -> f64,
) -> Message {
    let sender = |of: fn(&Transfer) -> Option<u64>| ends.sender.as_ref().and_then(of).map(|ns| at(from, ns));
    let receiver =
        |of: fn(&Transfer) -> Option<u64>| ends.receiver.as_ref().and_then(of).map(|ns| at(to, ns));
    Message {
        from,
        to,
        carried: word(carried).into(),
        microbatch,
        form,
        bytes: ends.sender.or(ends.receiver).map_or(0, |end| end.bytes),
        begun_s: sender(|end| Some(end.start_ns)),
        handed_s: sender(|end| Some(end.end_ns)),
        departed_s: sender(|end| end.transport_ns),
        arrived_s: receiver(|end| end.transport_ns),
        awaited_s: receiver(|end| Some(end.start_ns)),
        taken_s: receiver(|end| Some(end.end_ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_usual_steps_is_chosen() {
        for (steps, due) in [
            (&[] as &[(f64, bool)], None),
            (&[(5.0, false)], Some(0)),
            (&[(9.0, false), (2.0, false), (1.0, false)], Some(1)),
            (&[(1.0, true), (2.0, true), (3.0, true), (4.0, true)], Some(1)),
            (&[(0.5, false), (9.0, true), (0.6, false), (3.0, true), (4.0, true)], Some(4)),
            (&[(7.0, true), (f64::NAN, true), (6.0, true)], Some(0)),
        ] {
            assert_eq!(representative(steps), due, "{steps:?}");
        }
    }
}
