//! The progress of a lane: its minibatches, and the work done since the last step was closed.

use crate::exec::context::Context;
use crate::exec::device::Computed;
use proto::control::{Minibatch, RunLane, Span, StepDone};
use proto::lane::Action;
use proto::microbatch::Phase;
use proto::timeline::Timeline;
use std::time::Duration;

/// The progress of one lane.
pub struct Progress<'a> {
    pub work: &'a RunLane,
    pub context: &'a Context,
    /// The work done since the last step was closed.
    pub done: StepDone,
}

/// The beginning of an action.
pub struct Begun {
    at_ns: u64,
    /// The time that the step had spent with other nodes by then.
    away: Duration,
}

impl<'a> Progress<'a> {
    /// The progress of the lane of `work` before its first action.
    pub fn new(work: &'a RunLane, context: &'a Context) -> Self {
        Self { work, context, done: begun(work) }
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

    /// Begins an action.
    pub fn begin(&self) -> Begun {
        Begun { at_ns: self.context.clock.now_ns(), away: self.away() }
    }

    /// Ends `action`. Its span excludes the time in which the node waited for its other half: it begins later by that
    /// time.
    pub fn end(&mut self, begun: &Begun, action: Action) {
        let end_ns = self.context.clock.now_ns();
        let away = (self.away() - begun.away).as_nanos() as u64;
        let start_ns = (begun.at_ns + away).min(end_ns);
        self.done.compute += Duration::from_nanos(end_ns - start_ns);
        self.done.spans.push(Span::of(action, start_ns, end_ns));
    }

    /// Replaces the worker's times of the actions by the device's times, if the device has its own.
    pub fn compute_times(&mut self, times: Option<Vec<Computed>>) {
        let Some(times) = times else { return };
        let now = self.context.clock.now_ns();
        let at = |ago: Duration| now.saturating_sub(ago.as_nanos() as u64);
        for (span, Computed { began, ended }) in self.done.spans.iter_mut().zip(times) {
            (span.start_ns, span.end_ns) = (at(began), at(ended));
        }
        let spans = self.done.spans.iter();
        self.done.compute = spans.map(|span| Duration::from_nanos(span.end_ns - span.start_ns)).sum();
    }

    /// Takes the work since the last step, and starts empty counts.
    pub fn take(&mut self) -> StepDone {
        std::mem::replace(&mut self.done, begun(self.work))
    }

    fn away(&self) -> Duration {
        self.done.wait + self.done.send
    }
}

/// A report without work, with a timeline if a step of the lane asks for it.
fn begun(work: &RunLane) -> StepDone {
    let asked = work.minibatches.iter().any(|minibatch| minibatch.timeline);
    StepDone { timeline: asked.then(Timeline::default), ..StepDone::nothing(work.lane.phase()) }
}
