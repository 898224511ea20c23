//! The lane of a backward node: the node follows the lane of its stage, with the values that the host of W sends.
//!
//! F receives the samples of the layers. E carries their errors back, one request and one reply at a time. G gathers
//! B's gradients. U steps B and receives the noise of mirror steps.

use crate::exec::context::{Context, Of};
use crate::exec::device::{Device, Noted};
use crate::exec::half_link::HalfLink;
use crate::exec::lane::{Progress, UnderWay};
use crate::exec::other_half::{mirror_header, with_samples};
use crate::exec::session::{BackwardLink, Call};
use crate::layer::{MirrorStep, Shown, SplitLayer};
use crate::settings::Settings;
use crate::stage::{BackwardHalf, StageError};
use proto::control::{Align, Report, StepDone};
use proto::failure::Failure;
use proto::lane::Action;
use proto::link::Carried;
use proto::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::split::{Crossing, Parcel};
use tch::Tensor;

/// The parts of a backward node that a run works with.
pub struct Node<'a> {
    pub half: &'a mut BackwardHalf,
    pub device: &'a mut dyn Device,
    pub link: &'a mut BackwardLink,
    pub call: &'a Call,
    pub of: Of<'a>,
}

/// Executes one lane of a backward node.
pub struct BackwardRunner<'a> {
    node: Node<'a>,
    progress: Progress<'a>,
}

impl<'a> BackwardRunner<'a> {
    /// A runner for the lane of `progress`.
    pub fn new(node: Node<'a>, progress: Progress<'a>) -> Self {
        Self { node, progress }
    }

    /// Executes the lane.
    ///
    /// # Errors
    /// A stage that is gone, silent or out of order, or a torch operation that fails; the error is one sentence.
    pub fn run(mut self) -> Result<(), Failure> {
        if self.progress.work.lane.phase() == Phase::Evaluate {
            return Err(Failure::refused("a backward node has no part in an evaluation"));
        }
        self.progress.check_before()?;
        for &action in self.progress.work.lane.actions() {
            self.node.call.cancellation.check()?;
            let begun = self.progress.begin(action.step());
            let result = self.node.device.begin(action.step()).and_then(|()| self.act(action));
            let result = result.and_then(|()| self.node.device.end());
            self.progress.end(&begun, action);
            result.map_err(Failure::from)?;
            if self.progress.closes(action) {
                self.close(action.step())?;
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<(), StageError> {
        match action {
            Action::Forward(m) => self.forward(m),
            Action::Error(m) => self.error(m),
            Action::Gradient(m) => self.gradient(m),
            Action::Update(step) => self.update(step),
        }
    }

    fn forward(&mut self, m: MicrobatchId) -> Result<(), StageError> {
        let known = UnderWay { header: None, updates: self.node.half.updates() };
        self.progress.flight.microbatches.insert(m, known);
        // The host of W sends the samples of a recomputed forward pass with its error.
        if self.node.of.spec.recompute { Ok(()) } else { self.samples(m) }
    }

    /// Takes the samples of all layers.
    fn samples(&mut self, m: MicrobatchId) -> Result<(), StageError> {
        for at in 0..self.node.half.layers().len() {
            let shown = match self.node.link.crossings[at].sample.clone() {
                Some(parcel) => shown(&parcel, self.receive(m, &parcel)?),
                None => Shown::default(),
            };
            self.node.half.layers()[at].begin(m, shown);
        }
        Ok(())
    }

    /// Carries the errors of all layers back, the highest first.
    fn error(&mut self, m: MicrobatchId) -> Result<(), StageError> {
        if self.node.of.spec.recompute {
            self.samples(m)?;
        }
        for at in (0..self.node.half.layers().len()).rev() {
            let Crossing { error, returned, .. } = self.node.link.crossings[at].clone();
            let Some(parcel) = error else { continue };
            let error = self.receive(m, &parcel)?.remove(0);
            let carried = self.node.half.layers()[at].error(m, error, returned.is_some())?;
            if let (Some(parcel), Some(carried), Some(header)) = (returned, carried, self.header(m)) {
                let header = header.clone();
                let mut link = self.link(m.step);
                link.send(Carried::ErrorSignals, &header, &parcel, vec![carried])?;
            }
        }
        Ok(())
    }

    /// The header of the messages of `m`, once a message has shown it.
    fn header(&self, m: MicrobatchId) -> Option<&MicrobatchHeader> {
        self.progress.flight.microbatches.get(&m)?.header.as_ref()
    }

    fn gradient(&mut self, m: MicrobatchId) -> Result<(), StageError> {
        self.progress.flight.microbatches.remove(&m);
        self.node.half.gradient(m, self.progress.minibatch(m.step).0.samples)
    }

    fn update(&mut self, step: u64) -> Result<(), StageError> {
        let Node { half, device, link: BackwardLink { port, crossings }, call, of } = &mut self.node;
        let (context, done) = (self.progress.context, self.progress.done(step));
        let mut link = HalfLink { port, device: &mut **device, of: *of, context, call, done };
        let mut crossings = crossings.iter();
        half.update(|layer, settings, updates| {
            let parcel = crossings.next().and_then(|crossing| crossing.noise.as_ref());
            mirror(&mut link, layer, parcel, MirrorStep::AfterUpdate(updates), step, settings)
        })?;
        half.set_open(!self.progress.flight.microbatches.is_empty());
        Ok(())
    }

    /// The values of `parcel` of microbatch `m`.
    fn receive(&mut self, m: MicrobatchId, parcel: &Parcel) -> Result<Vec<Tensor>, StageError> {
        let (minibatch, microbatches) = self.progress.minibatch(m.step);
        let due = || format!("'{}' of train {m}", parcel.content.values[0].name);
        let known = self.header(m).cloned();
        let is_due = |header: &MicrobatchHeader| match &known {
            Some(known) => header == known,
            None => {
                (header.phase, header.id) == (Phase::Train, m)
                    && (header.minibatch, header.microbatches) == (minibatch.samples, microbatches)
            }
        };
        let received = self.link(m.step).receive(Carried::LayerValues, parcel, due, is_due);
        let (header, tensors) = received?;
        if let Some(known) = self.progress.flight.microbatches.get_mut(&m) {
            known.header = Some(header);
        }
        Ok(tensors)
    }

    /// The link, for an action of `step`.
    fn link(&mut self, step: u64) -> HalfLink<'_> {
        let Node { device, link, call, of, .. } = &mut self.node;
        let (context, done) = (self.progress.context, self.progress.done(step));
        HalfLink { port: &mut link.port, device: &mut **device, of: *of, context, call, done }
    }

    /// Reports `step`, and starts new counts.
    fn close(&mut self, step: u64) -> Result<(), Failure> {
        let Node { half, device, call, of, .. } = &mut self.node;
        let context = self.progress.context;
        context.outbox.settle(&call.cancellation)?;
        of.account.close(step);
        of.account.read(half.reads());
        let Noted { finite, overflow, underflow } = device.noted(step).map_err(Failure::own)?;
        let mut done = self.progress.take(step, device.times(step).map_err(Failure::own)?);
        (done.finite, done.overflow, done.underflow) = (finite, overflow, underflow);
        done.updates = half.updates();
        call.moments.complete(&mut done);
        context.meters.step(&done);
        context.runtime.block_on(call.report(Report::Step(done)))
    }
}

/// Makes the mirror steps before the first update, until the run ends.
///
/// # Errors
/// As [`BackwardRunner::run`].
pub fn align(node: Node<'_>, context: &Context, Align { done, steps }: Align) -> Result<Report, Failure> {
    let Node { half, device, link: BackwardLink { port, crossings }, call, of } = node;
    let mut counts = StepDone::nothing(Phase::Train);
    for before in done..done + steps {
        call.cancellation.check()?;
        device.begin(before + 1)?;
        let mut link =
            HalfLink { port: &mut *port, device: &mut *device, of, context, call, done: &mut counts };
        let mut crossings = crossings.iter();
        half.align(|layer, settings| {
            let parcel = crossings.next().and_then(|crossing| crossing.noise.as_ref());
            mirror(&mut link, layer, parcel, MirrorStep::Delay(before), before + 1, settings)
        })?;
        context.outbox.settle(&call.cancellation)?;
        device.noted(before + 1).map_err(Failure::own)?.check_noise(of.spec.wire)?;
        of.account.close(before + 1);
    }
    of.account.read(half.reads());
    Ok(Report::Aligned(done + steps))
}

/// Makes one mirror step of `layer`, if it is due, from the noise in the message of `step`.
fn mirror(
    link: &mut HalfLink<'_>,
    layer: &mut SplitLayer,
    parcel: Option<&Parcel>,
    mirror: MirrorStep,
    step: u64,
    settings: &Settings,
) -> Result<(), StageError> {
    let Some(parcel) = parcel.filter(|_| layer.is_due(mirror)) else { return Ok(()) };
    let spec = link.of.spec;
    let due = with_samples(&mirror_header(&spec.run, spec.incarnation, step), parcel);
    let what = || format!("'{}' of {due}", parcel.content.values[0].name);
    let (_, noise) = link.receive(Carried::LayerValues, parcel, what, |header| *header == due)?;
    Ok(layer.mirror(mirror, &shown(parcel, noise), settings)?)
}

/// The `tensors` of `parcel` as values of a layer. The names of y and of the noise's y have the same ending.
fn shown(parcel: &Parcel, tensors: Vec<Tensor>) -> Shown {
    let mut shown = Shown::default();
    for (value, tensor) in parcel.content.values.iter().zip(tensors) {
        match value.name.ends_with(".y") {
            true => shown.y = Some(tensor),
            false => shown.x = Some(tensor),
        }
    }
    shown
}
