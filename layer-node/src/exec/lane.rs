//! Execution of a lane: its actions run in order, never by arrival, and every step is reported when it is closed.

#[cfg(test)]
mod tests;

use crate::exec::account::Account;
use crate::exec::clock::Clock;
use crate::exec::device::{Device, Noted};
use crate::exec::session::Session;
use crate::meters::Meters;
use crate::stage::{Stage, StageError, Values};
use proto::control::{Minibatch, Report, RunLane, Span, StepDone};
use proto::failure::Failure;
use proto::lane::{Action, WeightVersion};
use proto::link::{Carried, Role};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::stage::{ErrorSource, StageSpec};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// The process's services that a lane runner uses.
pub struct Context {
    pub runtime: Handle,
    pub clock: Clock,
    pub meters: Meters,
}

/// The stage that a lane runner works for.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub spec: &'a StageSpec,
    pub account: &'a Account,
}

/// Executes one lane and measures its own work.
pub struct LaneRunner<'a> {
    stage: &'a mut Stage,
    device: &'a mut dyn Device,
    session: &'a mut Session,
    of: Of<'a>,
    context: &'a Context,
    work: &'a RunLane,
    /// The microbatches between their F and their G.
    under_way: HashMap<MicrobatchId, UnderWay>,
    /// The samples received so far of the step whose F actions are running.
    samples: u32,
    /// The work done since the last step was closed.
    done: StepDone,
}

/// The record that F leaves for E and G.
struct UnderWay {
    header: MicrobatchHeader,
    /// The updates that F saw.
    updates: u64,
}

/// The result of a lane; the failure is one sentence without the stage's name.
type Result<T> = std::result::Result<T, Failure>;

impl<'a> LaneRunner<'a> {
    /// A runner for the lane of `work`.
    pub fn new(
        stage: &'a mut Stage,
        device: &'a mut dyn Device,
        session: &'a mut Session,
        of: Of<'a>,
        context: &'a Context,
        work: &'a RunLane,
    ) -> Self {
        let done = StepDone::nothing(work.lane.phase());
        Self { stage, device, session, of, context, work, under_way: HashMap::new(), samples: 0, done }
    }

    /// Executes the lane.
    ///
    /// # Errors
    /// A neighbour that is gone, silent or out of order, or a torch operation that fails; the error is one sentence.
    pub fn run(mut self) -> Result<()> {
        for &action in self.work.lane.actions() {
            // The cancellation is checked here because queued messages would keep a stage at work after its run has
            // ended.
            self.session.cancellation.check()?;
            match action {
                Action::Forward(m) => self.forward(m)?,
                Action::Error(m) => self.error(m)?,
                Action::Gradient(m) => self.gradient(m)?,
                Action::Update(_) => self.timed(action, |runner| runner.stage.update())?,
            }
            if self.closes(action) {
                self.close(action.step())?;
            }
        }
        Ok(())
    }

    /// Whether `action` is the last of its step: U, or the last F of an evaluation.
    fn closes(&self, action: Action) -> bool {
        match (self.work.lane.phase(), action) {
            (Phase::Train, action) => matches!(action, Action::Update(_)),
            (Phase::Evaluate, Action::Forward(m)) => m.index + 1 == self.minibatch(m.step).1,
            (Phase::Evaluate, _) => false,
        }
    }

    /// Reports `step`, and starts new counts.
    fn close(&mut self, step: u64) -> Result<()> {
        if self.done.phase == Phase::Train {
            self.of.account.close(step);
            self.of.account.read(self.stage.reads());
        }
        let begun = StepDone::nothing(self.done.phase);
        let mut done = std::mem::replace(&mut self.done, begun);
        if self.minibatch(step).0.measure {
            done.layers = self.stage.measure().map_err(Failure::own)?;
        }
        let Noted { finite, overflow } = self.device.noted().map_err(Failure::own)?;
        (done.finite, done.overflow) = (finite, overflow);
        (done.step, done.updates) = (step, self.stage.updates());
        #[cfg(feature = "leaks")]
        crate::leak::step(self.stage, &mut done);
        self.context.meters.step(&done);
        self.context.runtime.block_on(self.session.report(Report::Step(done)))
    }

    fn forward(&mut self, m: MicrobatchId) -> Result<()> {
        let (phase, wire) = (self.work.lane.phase(), self.of.spec.wire);
        let message = self.receive(m, Direction::Up)?;
        self.expect(m, &message.header)?;
        self.count([self.session.below.peer().role, self.own()], Direction::Up, &message);
        let outputs = self.timed(Action::Forward(m), |runner| {
            let outputs = runner.stage.forward(m, runner.device.upload(&message.tensors)?, phase)?;
            runner.device.note_outputs(&outputs, wire)?;
            Ok(outputs)
        })?;
        self.done.bytes_forward += self.send(message.header, outputs, Direction::Up)?;
        Ok(())
    }

    fn error(&mut self, m: MicrobatchId) -> Result<()> {
        let message = match self.of.spec.error_source {
            ErrorSource::Above => self.receive(m, Direction::Down)?,
        };
        if self.under_way.get(&m).is_none_or(|known| known.header != message.header) {
            let (link, header) = (&self.session.above.incoming, &message.header);
            let why = format!("{} sent an error signal for {header}, which is not due", link.peer());
            return Err(link.refuse(Carried::ErrorSignals, why));
        }
        self.count([self.session.above.peer().role, self.own()], Direction::Down, &message);
        self.check_version(Action::Error(m), m)?;
        let wire = self.of.spec.wire;
        let errors = self.timed(Action::Error(m), |runner| {
            let errors = runner.stage.error(m, runner.device.upload(&message.tensors)?)?;
            runner.device.note_errors(&errors, wire)?;
            Ok(errors)
        })?;
        self.done.bytes_backward += self.send(message.header, errors, Direction::Down)?;
        Ok(())
    }

    fn gradient(&mut self, m: MicrobatchId) -> Result<()> {
        self.check_version(Action::Gradient(m), m)?;
        let samples = self.minibatch(m.step).0.samples;
        self.timed(Action::Gradient(m), |runner| runner.stage.gradient(m, samples))?;
        self.under_way.remove(&m);
        Ok(())
    }

    /// Checks that E or G of `m` sees the weights that the lane requires.
    fn check_version(&self, action: Action, m: MicrobatchId) -> Result<()> {
        let (now, known) = (self.stage.updates(), self.under_way.get(&m));
        let forward = known.ok_or_else(|| Failure::own(format!("{action:#} comes before its F")))?.updates;
        match self.work.lane.version() {
            WeightVersion::OfForward if forward == now => Ok(()),
            WeightVersion::OfForward => Err(Failure::own(format!(
                "{action:#} is to see the weights that its F saw, but the stage has made {now} updates, and F saw those after {forward}"
            ))),
        }
    }

    /// The minibatch of `step`, and its number of microbatches M.
    fn minibatch(&self, step: u64) -> (Minibatch, u32) {
        let at = (step - self.work.lane.first()) as usize;
        (self.work.minibatches[at], self.work.lane.microbatches()[at])
    }

    /// Checks that the received microbatch is the lane's current one, and that it follows the previous microbatch.
    fn expect(&mut self, m: MicrobatchId, got: &MicrobatchHeader) -> Result<()> {
        let (Minibatch { samples, .. }, microbatches) = self.minibatch(m.step);
        let offset = if m.index == 0 { 0 } else { self.samples };
        let phase = self.work.lane.phase();
        let due = MicrobatchHeader { phase, id: m, minibatch: samples, microbatches, offset, ..got.clone() };
        if *got != due {
            let link = &self.session.below.incoming;
            let why = format!("{} sent {got} while {due} was due", link.peer());
            return Err(link.refuse(Carried::Activations, why));
        }
        self.samples = offset + got.size;
        if m.index + 1 == microbatches && self.samples != samples {
            let (link, came) = (&self.session.below.incoming, self.samples);
            let why = format!("{} sent {came} samples for a minibatch of {samples}", link.peer());
            return Err(link.refuse(Carried::Activations, why));
        }
        if phase == Phase::Train {
            self.under_way.insert(m, UnderWay { header: due, updates: self.stage.updates() });
        }
        Ok(())
    }

    fn receive(&mut self, m: MicrobatchId, direction: Direction) -> Result<Message> {
        let begun = Instant::now();
        let phase = self.work.lane.phase();
        let Session { below, above, start, .. } = &mut *self.session;
        let (port, what) = match direction {
            Direction::Up => (below, "activation"),
            Direction::Down => (above, "error signal"),
        };
        let due = || format!("the {what} of {phase} {m}");
        let message = self.context.runtime.block_on(port.receive(start.message_deadline, due));
        self.done.wait += begun.elapsed();
        message
    }

    /// Counts a training message, which the update of its step consumes.
    fn count(&self, [from, to]: [Role; 2], direction: Direction, message: &Message) {
        if self.work.lane.phase() == Phase::Train {
            let carried = match direction {
                Direction::Up => Carried::Activations,
                Direction::Down => Carried::ErrorSignals,
            };
            self.of.account.add([from, to], carried, message);
        }
    }

    fn own(&self) -> Role {
        Role::Stage(self.of.spec.index)
    }

    /// Sends `values` under a header, and returns the number of bytes of their tensors.
    fn send(&mut self, header: MicrobatchHeader, values: Values, direction: Direction) -> Result<u64> {
        let begun = Instant::now();
        let tensors = self.device.download(values, self.of.spec.wire).map_err(Failure::own)?;
        let message = Message { header, tensors };
        let bytes = message.payload();
        let Session { below, above, start, .. } = &*self.session;
        let port = match direction {
            Direction::Up => above,
            Direction::Down => below,
        };
        self.count([self.own(), port.peer().role], direction, &message);
        let sent = self.context.runtime.block_on(port.send(start.message_deadline, message));
        self.done.send += begun.elapsed();
        sent.map(|()| bytes)
    }

    fn timed<T>(
        &mut self,
        action: Action,
        work: impl FnOnce(&mut Self) -> std::result::Result<T, StageError>,
    ) -> Result<T> {
        let start_ns = self.context.clock.now_ns();
        let result = work(self);
        let end_ns = self.context.clock.now_ns();
        self.done.compute += Duration::from_nanos(end_ns - start_ns);
        self.done.spans.push(Span { action, start_ns, end_ns });
        result.map_err(Failure::own)
    }
}

/// The direction of a message: activations go up, error signals go down.
#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}
