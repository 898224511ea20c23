//! A stage in the ring, with its other half if it has one.

use super::OpenStep;
use crate::exec::context::{Context, Of};
use crate::exec::device::Device;
use crate::exec::half_link::HalfLink;
use crate::exec::other_half::{ToBackward, mirror_header};
use crate::exec::session::{BackwardLink, Call, StageLinks};
use crate::stage::{OtherHalf, Stage, Whole};
use proto::control::{Align, Report, StepDone};
use proto::failure::Failure;
use proto::microbatch::{MicrobatchHeader, Phase};

/// The parts of a stage that a run works with.
pub struct Ring<'a> {
    pub stage: &'a mut Stage,
    pub device: &'a mut dyn Device,
    pub links: &'a mut StageLinks,
    pub call: &'a Call,
    pub of: Of<'a>,
    /// The step whose update is not whole. It stays open from one lane to the next.
    pub open: &'a mut Option<OpenStep>,
}

impl Ring<'_> {
    /// The stage, and its other half for an action under `header`, which adds to the counts in `done`.
    pub fn with_other_half<'s>(
        &'s mut self,
        context: &'s Context,
        done: &'s mut StepDone,
        header: MicrobatchHeader,
    ) -> (&'s mut Stage, Box<dyn OtherHalf + 's>) {
        let Self { stage, device, links, call, of, .. } = self;
        let other: Box<dyn OtherHalf + 's> = match &mut links.backward {
            None => Box::new(Whole),
            Some(BackwardLink { port, crossings }) => {
                let link = HalfLink { port, device: &mut **device, of: *of, context, call, done };
                Box::new(ToBackward { link, crossings, header })
            }
        };
        (stage, other)
    }
}

/// Makes the mirror steps before the first update, until the run ends.
///
/// # Errors
/// A torch operation that fails, or a backward node that is gone.
pub fn align(mut ring: Ring<'_>, context: &Context, Align { done, steps }: Align) -> Result<Report, Failure> {
    let mut counts = StepDone::nothing(Phase::Train);
    let Of { spec, account } = ring.of;
    for before in done..done + steps {
        ring.call.cancellation.check()?;
        let header = mirror_header(&spec.run, spec.incarnation, before + 1);
        ring.device.begin(before + 1)?;
        let (stage, mut other) = ring.with_other_half(context, &mut counts, header);
        stage.align(before, &mut *other)?;
        drop(other);
        context.outbox.settle(&ring.call.cancellation)?;
        ring.device.noted(before + 1).map_err(Failure::own)?.check_noise(spec.wire)?;
        account.close(before + 1);
    }
    account.read(ring.stage.reads());
    Ok(Report::Aligned(done + steps))
}
