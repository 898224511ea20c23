//! The backward node, as the lane of its stage reaches it: the values of split layers go out, and errors come back.

use crate::exec::half_link::HalfLink;
use crate::layer::{MirrorStep, Shown};
use crate::stage::{OtherHalf, StageError};
use proto::link::Carried;
use proto::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::split::{Crossing, Parcel};
use tch::Tensor;

/// The backward node in one action of its stage.
pub struct ToBackward<'a> {
    pub link: HalfLink<'a>,
    pub crossings: &'a [Crossing],
    /// The header of the microbatch, or of the mirror steps: [`mirror_header`].
    pub header: MicrobatchHeader,
}

/// The header of the noise of mirror steps in `step`, which is an update or a step of the delay phase, both from 1.
pub fn mirror_header(run: &str, incarnation: u32, step: u64) -> MicrobatchHeader {
    MicrobatchHeader {
        run: run.to_owned(),
        incarnation,
        phase: Phase::Train,
        id: MicrobatchId { step, index: 0 },
        minibatch: 0,
        microbatches: 1,
        offset: 0,
        size: 0,
        form: 0,
    }
}

/// The header of noise for the samples of `parcel`.
pub fn with_samples(header: &MicrobatchHeader, parcel: &Parcel) -> MicrobatchHeader {
    let batch = parcel.content.max_microbatch;
    MicrobatchHeader { minibatch: batch, size: batch, ..header.clone() }
}

impl<'a> ToBackward<'a> {
    fn crossing(&self, layer: &str) -> Result<&'a Crossing, StageError> {
        let known = self.crossings.iter().find(|crossing| crossing.layer == layer);
        known.ok_or_else(|| tch::TchError::Torch(format!("'{layer}' is not split: this is a bug")).into())
    }
}

impl OtherHalf for ToBackward<'_> {
    fn show(&mut self, layer: &str, Shown { x, y }: Shown) -> Result<(), StageError> {
        let Some(parcel) = &self.crossing(layer)?.sample else { return Ok(()) };
        let tensors = [x, y].into_iter().flatten().collect();
        self.link.send(Carried::LayerValues, &self.header, parcel, tensors)
    }

    fn carry(&mut self, layer: &str, error: Tensor) -> Result<Option<Tensor>, StageError> {
        let Crossing { error: sent, returned, .. } = self.crossing(layer)?;
        if let Some(parcel) = sent {
            self.link.send(Carried::LayerValues, &self.header, parcel, vec![error])?;
        }
        let Some(parcel) = returned else { return Ok(None) };
        let due = || format!("the error at the input of '{layer}' of {}", self.header);
        let is_due = |header: &MicrobatchHeader| *header == self.header;
        let (_, tensors) = self.link.receive(Carried::ErrorSignals, parcel, due, is_due)?;
        Ok(tensors.into_iter().next())
    }

    fn mirror(&mut self, layer: &str, _: MirrorStep, Shown { x, y }: Shown) -> Result<(), StageError> {
        let Some(parcel) = &self.crossing(layer)?.noise else { return Ok(()) };
        let tensors = [x, y].into_iter().flatten().collect();
        let header = with_samples(&self.header, parcel);
        self.link.send(Carried::LayerValues, &header, parcel, tensors)
    }
}
