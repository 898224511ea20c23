//! Execution of a lane: its actions run in order, never by arrival, and every step is reported when it is closed.

mod feedback;
mod in_flight;
mod open_step;
mod progress;
mod ring;
#[cfg(test)]
mod tests;

pub use in_flight::{InFlight, UnderWay};
pub use open_step::OpenStep;
pub use progress::Progress;
pub use ring::{Ring, align};

use crate::exec::context::Context;
use crate::exec::device::Noted;
use crate::exec::other_half::mirror_header;
use crate::exec::outbox::Letter;
use crate::exec::session::StageLinks;
use crate::stage::{OtherHalf, Stage, StageError, Values};
use feedback::Feedback;
use proto::control::{Measure, Minibatch};
use proto::failure::Failure;
use proto::lane::{Action, WeightVersion};
use proto::link::{Carried, Port, Role};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::stage::ErrorSource;
use proto::timeline::Transfer;
use std::time::Duration;

/// Executes one lane and measures its own work.
pub struct LaneRunner<'a> {
    ring: Ring<'a>,
    progress: Progress<'a>,
    /// The residuals of the error signals, where the run feeds them back.
    feedback: Option<Feedback>,
}

/// The result of a lane; the failure is one sentence without the stage's name.
type Result<T> = std::result::Result<T, Failure>;

impl<'a> LaneRunner<'a> {
    /// A runner for the lane of `progress`.
    pub fn new(ring: Ring<'a>, progress: Progress<'a>) -> Self {
        let feedback = Feedback::of(ring.of.spec);
        Self { ring, progress, feedback }
    }

    /// Executes the lane.
    ///
    /// # Errors
    /// A neighbour that is gone, silent or out of order, or a torch operation that fails; the error is one sentence.
    pub fn run(mut self) -> Result<()> {
        self.progress.check_before()?;
        for &action in self.progress.work.lane.actions() {
            // The cancellation is checked here because queued messages would keep a stage at work after its run has
            // ended.
            self.ring.call.cancellation.check()?;
            match action {
                Action::Forward(m) => self.forward(m)?,
                Action::Error(m) => self.error(m)?,
                Action::Gradient(m) => self.gradient(m)?,
                Action::Update(step) => self.update(step)?,
            }
            if self.progress.closes(action) {
                self.close(action.step())?;
            }
        }
        Ok(())
    }

    /// Ends the counts of `step`, and reports it unless some B still owes its part of the update.
    fn close(&mut self, step: u64) -> Result<()> {
        self.context().outbox.settle(&self.ring.call.cancellation)?;
        if self.phase() == Phase::Train {
            self.ring.of.account.close(step);
        }
        let Noted { finite, overflow, underflow } = self.ring.device.noted(step).map_err(Failure::own)?;
        let times = self.ring.device.times(step).map_err(Failure::own)?;
        let mut done = self.progress.take(step, times);
        (done.finite, done.overflow, done.underflow) = (finite, overflow, underflow);
        done.updates = self.ring.stage.updates();
        let measured = self.progress.minibatch(step).0.measure.is_due();
        *self.ring.open = Some(OpenStep::new(done, measured));
        match self.ring.stage.owes() {
            true => Ok(()),
            false => self.ring.finish(self.context()),
        }
    }

    fn context(&self) -> &'a Context {
        self.progress.context
    }

    fn phase(&self) -> Phase {
        self.progress.work.lane.phase()
    }

    fn forward(&mut self, m: MicrobatchId) -> Result<()> {
        let (phase, wire) = (self.phase(), self.ring.of.spec.wire_above());
        let message = self.receive(m, Direction::Up)?;
        self.expect(m, &message.header)?;
        self.count([self.ring.links.below.peer().role, self.own()], Direction::Up, &message);
        let outputs = self.timed(Action::Forward(m), |runner| {
            let inputs = runner.ring.device.upload(&message.tensors)?;
            let (stage, mut other) = runner.with_other_half(message.header.clone());
            let outputs = stage.forward(m, inputs, phase, &mut *other)?;
            drop(other);
            runner.ring.device.note_outputs(&outputs, wire)?;
            Ok(outputs)
        })?;
        let sent = self.send(message.header, outputs, Direction::Up)?;
        self.progress.done(m.step).bytes_forward += sent;
        Ok(())
    }

    fn error(&mut self, m: MicrobatchId) -> Result<()> {
        let message = match self.ring.of.spec.error_source {
            ErrorSource::Above => self.receive(m, Direction::Down)?,
        };
        let known = self.progress.flight.microbatches.get(&m).and_then(|known| known.header.as_ref());
        if known != Some(&message.header) {
            let (link, header) = (&self.ring.links.above.incoming, &message.header);
            let why = format!("{} sent an error signal for {header}, which is not due", link.peer());
            return Err(link.refuse(Carried::ErrorSignals, why));
        }
        self.count([self.ring.links.above.peer().role, self.own()], Direction::Down, &message);
        // E reads B.
        self.ring.finish(self.context())?;
        self.check_version(Action::Error(m), m)?;
        if m.index == 0 && self.progress.minibatch(m.step).0.measure == Measure::Signals {
            self.ring.stage.compare_signals(m);
        }
        let wire = self.ring.of.spec.wire;
        let errors = self.timed(Action::Error(m), |runner| {
            let outputs = runner.ring.device.upload(&message.tensors)?;
            let (stage, mut other) = runner.with_other_half(message.header.clone());
            let errors = stage.error(m, outputs, &mut *other)?;
            drop(other);
            let errors = shrunk(errors, runner.ring.of.spec.shrink)?;
            let errors = match &mut runner.feedback {
                Some(feedback) => feedback.correct(m, errors)?,
                None => errors,
            };
            runner.ring.device.note_sent(&errors, Carried::ErrorSignals, wire)?;
            Ok(errors)
        })?;
        let sent = self.send(message.header, errors, Direction::Down)?;
        self.progress.done(m.step).bytes_backward += sent;
        Ok(())
    }

    fn gradient(&mut self, m: MicrobatchId) -> Result<()> {
        self.check_version(Action::Gradient(m), m)?;
        let samples = self.progress.minibatch(m.step).0.samples;
        self.timed(Action::Gradient(m), |runner| runner.ring.stage.gradient(m, samples))?;
        self.progress.flight.microbatches.remove(&m);
        Ok(())
    }

    fn update(&mut self, step: u64) -> Result<()> {
        let header = mirror_header(&self.ring.of.spec.run, self.ring.of.spec.incarnation, step);
        self.timed(Action::Update(step), |runner| {
            if runner.ring.links.backward.is_none() {
                return runner.ring.stage.update_forward();
            }
            let (stage, mut other) = runner.with_other_half(header);
            stage.update(&mut *other)
        })?;
        self.ring.stage.set_open(!self.progress.flight.microbatches.is_empty());
        Ok(())
    }

    /// The stage, and its other half for an action under `header`.
    fn with_other_half<'s>(
        &'s mut self,
        header: MicrobatchHeader,
    ) -> (&'s mut Stage, Box<dyn OtherHalf + 's>) {
        let context = self.progress.context;
        self.ring.with_other_half(context, self.progress.done(header.id.step), header)
    }

    /// Checks that E or G of `m` sees the weights that the lane requires.
    fn check_version(&self, action: Action, m: MicrobatchId) -> Result<()> {
        let (now, known) = (self.ring.stage.updates(), self.progress.flight.microbatches.get(&m));
        let forward = known.ok_or_else(|| Failure::own(format!("{action:#} comes before its F")))?.updates;
        match self.progress.work.lane.version() {
            WeightVersion::OfForward if forward == now => Ok(()),
            WeightVersion::Newest => Ok(()),
            WeightVersion::OfForward => Err(Failure::own(format!(
                "{action:#} is to see the weights that its F saw, but the stage has made {now} updates, and F saw those after {forward}"
            ))),
        }
    }

    /// Checks that the received microbatch is the lane's current one, and that it follows the previous microbatch.
    fn expect(&mut self, m: MicrobatchId, got: &MicrobatchHeader) -> Result<()> {
        let (Minibatch { samples, .. }, microbatches) = self.progress.minibatch(m.step);
        let offset = if m.index == 0 { 0 } else { self.progress.flight.samples };
        let phase = self.phase();
        let due = MicrobatchHeader { phase, id: m, minibatch: samples, microbatches, offset, ..got.clone() };
        if *got != due {
            let link = &self.ring.links.below.incoming;
            let why = format!("{} sent {got} while {due} was due", link.peer());
            return Err(link.refuse(Carried::Activations, why));
        }
        let came = offset + got.size;
        self.progress.flight.samples = came;
        if m.index + 1 == microbatches && came != samples {
            let link = &self.ring.links.below.incoming;
            let why = format!("{} sent {came} samples for a minibatch of {samples}", link.peer());
            return Err(link.refuse(Carried::Activations, why));
        }
        if phase == Phase::Train {
            let known = UnderWay { header: Some(due), updates: self.ring.stage.updates() };
            self.progress.flight.microbatches.insert(m, known);
        }
        Ok(())
    }

    fn receive(&mut self, m: MicrobatchId, direction: Direction) -> Result<Message> {
        let came = self.ring.work_until(self.context(), |links| direction.source(links).try_receive())?;
        let (begun, phase) = (self.context().clock.now_ns(), self.phase());
        let what = match direction {
            Direction::Up => "activation",
            Direction::Down => "error signal",
        };
        let port = direction.source(self.ring.links);
        let due = || format!("the {what} of {phase} {m}");
        let peer = port.peer().role;
        let message = match came {
            Some(message) => Ok(message),
            None => {
                let received = port.receive(self.ring.call.start.message_deadline, due);
                self.progress.context.runtime.block_on(received)
            }
        };
        let ended = self.context().clock.now_ns();
        let done = self.progress.done(m.step);
        done.wait += Duration::from_nanos(ended - begun);
        if let Ok(message) = &message {
            let (of, noted) = ((peer, false, direction.carried()), (m.index, message.header.form));
            done.transferred(|| Transfer::of(of, noted, message.payload(), [begun, ended]));
        }
        message
    }

    /// Counts a received training message, which the update of its step consumes.
    fn count(&self, [from, to]: [Role; 2], direction: Direction, message: &Message) {
        if self.phase() == Phase::Train {
            self.ring.of.account.add([from, to], direction.carried(), message);
        }
    }

    fn own(&self) -> Role {
        self.ring.of.spec.role()
    }

    /// Sends `values` under a header, and returns the number of bytes of their tensors.
    fn send(&mut self, header: MicrobatchHeader, values: Values, direction: Direction) -> Result<u64> {
        let begun = self.context().clock.now_ns();
        let spec = self.ring.of.spec;
        let wire = match direction {
            Direction::Up => spec.wire_above(),
            Direction::Down => spec.wire,
        };
        let values = self.ring.device.download(values, direction.carried(), wire).map_err(Failure::own)?;
        let bytes = values.bytes();
        let (StageLinks { below, above, .. }, call) = (&*self.ring.links, self.ring.call);
        let port = match direction {
            Direction::Up => above,
            Direction::Down => below,
        };
        let account = || (self.ring.of.account.clone(), [self.own(), port.peer().role], direction.carried());
        let of = (port.peer().role, true, direction.carried());
        let (step, noted) = (header.id.step, (header.id.index, header.form));
        let letter = Letter {
            to: port.outgoing.clone(),
            deadline: call.start.message_deadline,
            cancellation: call.cancellation.clone(),
            header,
            account: (self.phase() == Phase::Train).then(account),
        };
        let sent = self.context().outbox.send(letter, values);
        let ended = self.context().clock.now_ns();
        let done = self.progress.done(step);
        done.send += Duration::from_nanos(ended - begun);
        done.transferred(|| Transfer::of(of, noted, bytes, [begun, ended]));
        sent.map(|()| bytes)
    }

    fn timed<T>(
        &mut self,
        action: Action,
        work: impl FnOnce(&mut Self) -> std::result::Result<T, StageError>,
    ) -> Result<T> {
        let begun = self.progress.begin(action.step());
        let result = self.ring.device.begin(action.step()).and_then(|()| work(self));
        let result = result.and_then(|value| self.ring.device.end().map(|()| value));
        self.progress.end(&begun, action);
        result.map_err(Failure::from)
    }
}

/// The error signals, β times. A stage may hand on the error that it received, whose bytes are never written.
fn shrunk(errors: Values, shrink: f64) -> std::result::Result<Values, StageError> {
    if shrink == 1.0 {
        return Ok(errors);
    }
    let times = |(name, error): (String, tch::Tensor)| Ok((name, error.f_mul_scalar(shrink)?));
    errors.into_iter().map(times).collect()
}

/// The direction of a message: activations go up, error signals go down.
#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Direction {
    /// The link from which messages of the direction come.
    fn source(self, links: &mut StageLinks) -> &mut Port {
        match self {
            Direction::Up => &mut links.below,
            Direction::Down => &mut links.above,
        }
    }

    fn carried(self) -> Carried {
        match self {
            Direction::Up => Carried::Activations,
            Direction::Down => Carried::ErrorSignals,
        }
    }
}
