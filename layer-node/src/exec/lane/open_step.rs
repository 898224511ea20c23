//! The step that is open between the two parts of its update: what forward passes read has stepped, and some B still owes
//! its part. The stage does that part layer by layer while it waits for a message or for a command, and reports the step
//! then.

use super::{Result, Ring};
use crate::exec::context::Context;
use crate::exec::session::StageLinks;
use proto::control::{Report, Span, StepDone};
use proto::failure::Failure;
use proto::lane::Action;
use proto::microbatch::Phase;
use std::convert::Infallible;
use std::time::Duration;

/// An open step.
pub struct OpenStep {
    /// The report of the step, without what B's part of the update adds to it.
    done: StepDone,
    /// Whether the report has measurements of the layers.
    measured: bool,
    /// The span of B's part so far.
    followed: Option<Span>,
}

impl OpenStep {
    /// A step whose lane has reached U.
    pub fn new(done: StepDone, measured: bool) -> Self {
        Self { done, measured, followed: None }
    }

    /// Adds the time of some of B's part. All of it is one span, the second of U: where it was done in several waits, the
    /// span ends with the last one and is as long as all of them.
    fn add(&mut self, start_ns: u64, end_ns: u64) {
        let before = self.followed.map_or(0, |span| span.end_ns - span.start_ns);
        let start_ns = start_ns.saturating_sub(before);
        self.followed =
            Some(Span { action: Action::Update(self.done.step), start_ns, end_ns, backward: true });
    }

    /// The report, and whether it has measurements.
    fn report(self) -> (StepDone, bool) {
        let Self { mut done, measured, followed } = self;
        if let Some(span) = followed {
            done.compute += Duration::from_nanos(span.end_ns - span.start_ns);
            done.spans.push(span);
        }
        (done, measured)
    }
}

impl Ring<'_> {
    /// Works on the open step, if there is one, until `came` has something: B's part of its update, one layer after
    /// another, and then its report.
    ///
    /// # Errors
    /// A torch operation that fails, a run that has ended, or a coordinator that takes no report.
    pub fn work_until<T>(
        &mut self,
        context: &Context,
        mut came: impl FnMut(&mut StageLinks) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(open) = &mut *self.open else { return Ok(None) };
        let start_ns = context.clock.now_ns();
        let mut end_ns = None;
        let found = loop {
            if let Some(found) = came(self.links) {
                break Some(found);
            }
            self.call.cancellation.check()?;
            if !self.stage.follow().map_err(Failure::from)? {
                break None;
            }
            end_ns = Some(context.clock.now_ns());
        };
        if let Some(end_ns) = end_ns {
            open.add(start_ns, end_ns);
        }
        match found {
            Some(found) => Ok(Some(found)),
            None => self.report(context).map(|()| None),
        }
    }

    /// Closes the open step, if there is one.
    ///
    /// # Errors
    /// As [`Ring::work_until`].
    pub fn finish(&mut self, context: &Context) -> Result<()> {
        self.work_until(context, |_| None::<Infallible>).map(|_| ())
    }

    /// Reports the open step, of whose update nothing is left.
    fn report(&mut self, context: &Context) -> Result<()> {
        let Some((mut done, measured)) = self.open.take().map(OpenStep::report) else { return Ok(()) };
        if done.phase == Phase::Train {
            self.of.account.read(self.stage.reads());
        }
        if measured {
            done.layers = self.stage.measure().map_err(Failure::own)?;
        }
        self.call.moments.complete(&mut done);
        #[cfg(feature = "leaks")]
        crate::leak::step(self.stage, &mut done);
        context.meters.step(&done);
        context.runtime.block_on(self.call.report(Report::Step(done)))
    }
}
