//! The progress of a lane: its minibatches, and the work done on the steps that are not closed.

use super::{InFlight, Result};
use crate::exec::context::Context;
use crate::exec::device::Computed;
use proto::control::{Minibatch, RunLane, Span, StepDone};
use proto::failure::Failure;
use proto::lane::Action;
use proto::microbatch::Phase;
use proto::timeline::Timeline;
use std::time::Duration;

/// The progress of one lane.
pub struct Progress<'a> {
    pub work: &'a RunLane,
    pub context: &'a Context,
    /// The work under way, also from earlier lanes.
    pub flight: &'a mut InFlight,
}

/// The beginning of an action.
pub struct Begun {
    at_ns: u64,
    /// The time that the step had spent with other nodes by then.
    away: Duration,
}

impl<'a> Progress<'a> {
    /// The progress of the lane of `work` before its first action.
    pub fn new(work: &'a RunLane, context: &'a Context, flight: &'a mut InFlight) -> Self {
        Self { work, context, flight }
    }

    /// Checks that the lane goes on with the microbatches that the lanes before it have left under way.
    ///
    /// # Errors
    /// A sentence with both numbers.
    pub fn check_before(&self) -> Result<()> {
        let (due, known) = (self.work.lane.before() as usize, self.flight.microbatches.len());
        match due == known {
            true => Ok(()),
            false => Err(Failure::refused(format!(
                "the {} lane of step {} goes on with {due} microbatches under way, and this node has {known}",
                self.work.lane.phase(),
                self.work.lane.first()
            ))),
        }
    }

    /// The minibatch of `step`, and its number of microbatches M.
    pub fn minibatch(&self, step: u64) -> (Minibatch, u32) {
        let at = (step - self.work.lane.first()) as usize;
        (self.work.minibatches[at], self.work.lane.microbatches()[at])
    }

    /// Whether `action` is the last of its step: U, or the last F of an evaluation.
    pub fn closes(&self, action: Action) -> bool {
        match (self.work.lane.phase(), action) {
            (Phase::Train, action) => matches!(action, Action::Update(_)),
            (Phase::Evaluate, Action::Forward(m)) => m.index + 1 == self.minibatch(m.step).1,
            (Phase::Evaluate, _) => false,
        }
    }

    /// The report of `step` so far.
    pub fn done(&mut self, step: u64) -> &mut StepDone {
        let (phase, timeline) = (self.work.lane.phase(), self.minibatch(step).0.timeline);
        let empty =
            || StepDone { step, timeline: timeline.then(Timeline::default), ..StepDone::nothing(phase) };
        self.flight.steps.entry(step).or_insert_with(empty)
    }

    /// Begins an action of `step`.
    pub fn begin(&mut self, step: u64) -> Begun {
        Begun { at_ns: self.context.clock.now_ns(), away: away(self.done(step)) }
    }

    /// Ends `action`. Its span excludes the time in which the node waited for its other half: it begins later by that
    /// time.
    pub fn end(&mut self, begun: &Begun, action: Action) {
        let end_ns = self.context.clock.now_ns();
        let done = self.done(action.step());
        let waited = (away(done) - begun.away).as_nanos() as u64;
        let start_ns = (begun.at_ns + waited).min(end_ns);
        done.compute += Duration::from_nanos(end_ns - start_ns);
        done.spans.push(Span::of(action, start_ns, end_ns));
    }

    /// Takes the report of `step`, with the device's times of its actions in place of the worker's, if the device has
    /// its own.
    pub fn take(&mut self, step: u64, times: Option<Vec<Computed>>) -> StepDone {
        self.done(step);
        let mut done = self.flight.steps.remove(&step).unwrap_or_else(|| StepDone::nothing(Phase::Train));
        let Some(times) = times else { return done };
        let now = self.context.clock.now_ns();
        let at = |ago: Duration| now.saturating_sub(ago.as_nanos() as u64);
        for (span, Computed { began, ended }) in done.spans.iter_mut().zip(times) {
            (span.start_ns, span.end_ns) = (at(began), at(ended));
        }
        let spans = done.spans.iter();
        done.compute = spans.map(|span| Duration::from_nanos(span.end_ns - span.start_ns)).sum();
        done
    }
}

/// The time that a step has spent with other nodes.
fn away(done: &StepDone) -> Duration {
    done.wait + done.send
}
