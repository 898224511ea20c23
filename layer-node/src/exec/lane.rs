//! One step: a lane's actions carried out in order, never by arrival.

use crate::exec::clock::Clock;
use crate::exec::session::Session;
use crate::stage::{Stage, Values};
use crate::torch;
use proto::control::{Span, Step, StepDone};
use proto::failure::Failure;
use proto::lane::{Action, Phase};
use proto::microbatch::{Identity, Message};
use proto::tensor::{Kind, TensorData};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Carries out one lane and measures itself.
pub struct LaneRunner<'a> {
    stage: &'a mut Stage,
    session: &'a mut Session,
    wire: Kind,
    runtime: &'a Handle,
    clock: &'a Clock,
    step: &'a Step,
    /// The identity under which each microbatch came in.
    microbatches: HashMap<u32, Identity>,
    samples: u32,
    done: StepDone,
}

/// A failed step: one sentence without the stage's name.
type Result<T> = std::result::Result<T, Failure>;

impl<'a> LaneRunner<'a> {
    /// A runner for `step`.
    pub fn new(
        stage: &'a mut Stage,
        session: &'a mut Session,
        wire: Kind,
        runtime: &'a Handle,
        clock: &'a Clock,
        step: &'a Step,
    ) -> Self {
        let done = StepDone {
            step: step.step,
            phase: step.lane.phase(),
            spans: Vec::with_capacity(step.lane.actions().len()),
            compute: Duration::ZERO,
            wait: Duration::ZERO,
            send: Duration::ZERO,
            bytes_forward: 0,
            bytes_backward: 0,
            finite: true,
            updates: 0,
            layers: Vec::new(),
        };
        Self { stage, session, wire, runtime, clock, step, microbatches: HashMap::new(), samples: 0, done }
    }

    /// Carries the lane out.
    ///
    /// # Errors
    /// One sentence: a neighbour that is gone, silent or out of order, or what torch says.
    pub fn run(mut self) -> Result<StepDone> {
        for &action in self.step.lane.actions() {
            // Messages that wait in a queue would keep a stage at work on a run that has ended.
            self.session.cancellation.check()?;
            match action {
                Action::Forward(m) => self.forward(m)?,
                Action::Error(m) => self.error(m)?,
                Action::Gradient(m) => {
                    self.timed(action, |runner| {
                        runner.stage.gradient(m, runner.step.minibatch).map_err(Failure::own)
                    })?;
                }
                Action::Update => self.timed(action, |runner| runner.stage.update().map_err(Failure::own))?,
            }
        }
        if self.samples != self.step.minibatch {
            return Err(Failure::neighbour(format!(
                "{} samples came for a minibatch of {}",
                self.samples, self.step.minibatch
            )));
        }
        if self.step.measure {
            self.done.layers = self.stage.measure().map_err(Failure::own)?;
        }
        self.done.updates = self.stage.updates();
        Ok(self.done)
    }

    fn forward(&mut self, m: u32) -> Result<()> {
        let message = self.receive(m, Direction::Up)?;
        self.expect(m, &message.identity)?;
        let identity = message.identity.clone();
        let outputs = self.timed(Action::Forward(m), |runner| {
            let outputs = runner
                .stage
                .forward(m, runner.decode(&message)?, runner.step.lane.phase())
                .map_err(Failure::own)?;
            runner.done.finite &= all_finite(&outputs, runner.wire)?;
            Ok(outputs)
        })?;
        self.done.bytes_forward += self.send(identity, outputs, Direction::Up)?;
        Ok(())
    }

    fn error(&mut self, m: u32) -> Result<()> {
        let message = self.receive(m, Direction::Down)?;
        let known = self.microbatches.get(&m);
        if known != Some(&message.identity) {
            let peer = self.session.above.peer();
            return Err(Failure::neighbour(format!(
                "{peer} sent an error signal for {}, which is not due",
                message.identity
            )));
        }
        let identity = message.identity.clone();
        let errors = self.timed(Action::Error(m), |runner| {
            runner.stage.error(m, runner.decode(&message)?).map_err(Failure::own)
        })?;
        self.done.bytes_backward += self.send(identity, errors, Direction::Down)?;
        Ok(())
    }

    /// Checks that the microbatch is the one that the lane is at, and follows the one before it.
    fn expect(&mut self, m: u32, got: &Identity) -> Result<()> {
        let due = Identity {
            step: self.step.step,
            phase: self.step.lane.phase(),
            minibatch: self.step.minibatch,
            microbatches: self.step.lane.microbatches(),
            index: m,
            offset: self.samples,
            ..got.clone()
        };
        if *got != due {
            let peer = self.session.below.peer();
            return Err(Failure::neighbour(format!("{peer} sent {got} while {due} was due")));
        }
        self.samples += got.size;
        if due.phase == Phase::Train {
            self.microbatches.insert(m, due);
        }
        Ok(())
    }

    fn receive(&mut self, m: u32, direction: Direction) -> Result<Message> {
        let begun = Instant::now();
        let (phase, step) = (self.step.lane.phase(), self.step.step);
        let Session { below, above, start, .. } = &mut *self.session;
        let (port, what) = match direction {
            Direction::Up => (below, "activation"),
            Direction::Down => (above, "error signal"),
        };
        let due = || format!("the {what} of {phase} step {step}, microbatch {m}");
        let message = self.runtime.block_on(port.receive(start.message_deadline, due));
        self.done.wait += begun.elapsed();
        message
    }

    /// Sends `values` under an identity; returns the bytes of their tensors.
    fn send(&mut self, identity: Identity, values: Values, direction: Direction) -> Result<u64> {
        let begun = Instant::now();
        let message = self.encode(identity, values)?;
        let bytes = message.payload();
        let Session { below, above, start, .. } = &*self.session;
        let port = match direction {
            Direction::Up => above,
            Direction::Down => below,
        };
        let sent = self.runtime.block_on(port.send(start.message_deadline, message));
        self.done.send += begun.elapsed();
        sent.map(|()| bytes)
    }

    fn timed<T>(&mut self, action: Action, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let start_ns = self.clock.now_ns();
        let result = work(self);
        let end_ns = self.clock.now_ns();
        self.done.compute += Duration::from_nanos(end_ns - start_ns);
        self.done.spans.push(Span { action, start_ns, end_ns });
        result
    }

    fn decode(&self, message: &Message) -> Result<Values> {
        let (kind, device) = self.stage.options();
        let decode = |(name, data): &(String, TensorData)| {
            Ok((name.clone(), torch::tensor_from(data, kind, device).map_err(Failure::own)?))
        };
        message.tensors.iter().map(decode).collect()
    }

    fn encode(&self, identity: Identity, values: Values) -> Result<Message> {
        let encode = |(name, tensor): (String, tch::Tensor)| {
            let bytes = torch::bytes_of(&tensor, torch::kind_of(self.wire)).map_err(Failure::own)?;
            let shape = tensor.size().iter().map(|&size| size as u64).collect();
            Ok((name, TensorData::new(self.wire, shape, vec![bytes]).map_err(Failure::own)?))
        };
        Ok(Message { identity, tensors: values.into_iter().map(encode).collect::<Result<_>>()? })
    }
}

/// Which way a message goes: activations up, error signals down.
#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

/// Whether no value holds a NaN or an infinity once it is rounded to `wire`: either survives a sum.
fn all_finite(values: &Values, wire: Kind) -> Result<bool> {
    for (_, tensor) in values {
        // f16 ends at 65,504; the others end where f32 does.
        let sent = if wire == Kind::F16 {
            tensor.f_to_kind(torch::kind_of(wire))
        } else {
            Ok(tensor.shallow_clone())
        };
        let sum = sent.and_then(|sent| sent.f_sum(tensor.kind())).and_then(|sum| sum.f_double_value(&[]));
        let sum = sum.map_err(Failure::own)?;
        if !sum.is_finite() {
            return Ok(false);
        }
    }
    Ok(true)
}
