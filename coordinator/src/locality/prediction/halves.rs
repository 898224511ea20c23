//! The prediction of the link between the halves of a split stage: the messages of each form.
//!
//! ```text
//!           sample, error, in each training microbatch
//! stage 1 ───────────────────────────────────────────────▶ stage 1, backward
//!          ─ noise, in each mirror step ─────────────────▶
//!         ◀─ error at x, in each training microbatch ─────
//! ```

use super::links::{counted, headers};
use super::{Minibatch, Work, minibatches};
use proto::error::ProtocolError;
use proto::ledger::LinkRecord;
use proto::link::{Carried, Role};
use proto::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::rule::Mirror;
use proto::spec::split::Parcel;
use proto::spec::stage::{Half, StageSpec};

/// The records of the link between the halves of `spec`, without chains; none where no layer is split.
pub(super) fn predict(spec: &StageSpec, work: &[Work]) -> Result<Vec<LinkRecord>, ProtocolError> {
    let [forward, backward] = [Role::Stage(spec.index), Role::Backward(spec.index)];
    let (there, back) = ([forward, backward], [backward, forward]);
    let mut links = Vec::new();
    for crossing in spec.crossings()? {
        let trained = |ends, carried, parcel: &Option<Parcel>| {
            let parcel = parcel.as_ref()?;
            counted(record(spec, ends, carried, parcel), training(spec, work, parcel.form))
        };
        links.extend(trained(there, Carried::LayerValues, &crossing.sample));
        links.extend(trained(there, Carried::LayerValues, &crossing.error));
        if let (Some(parcel), Some(mirror)) = (&crossing.noise, mirror(spec, &crossing.layer)) {
            let headers = mirrored(work, mirror).map(|step| of_noise(spec, parcel.form, step, mirror));
            links.extend(counted(record(spec, there, Carried::LayerValues, parcel), headers));
        }
        links.extend(trained(back, Carried::ErrorSignals, &crossing.returned));
    }
    Ok(links)
}

fn record(spec: &StageSpec, ends: [Role; 2], carried: Carried, parcel: &Parcel) -> LinkRecord {
    let Parcel { form, content } = parcel;
    LinkRecord::empty(ends, carried, Phase::Train).of(*form, content.values.clone(), spec.wire)
}

/// The headers of a message of `form` for each training microbatch.
fn training<'a>(
    spec: &'a StageSpec,
    work: &'a [Work],
    form: u32,
) -> impl Iterator<Item = MicrobatchHeader> + 'a {
    let trained = minibatches(work).filter(|minibatch| minibatch.phase == Phase::Train);
    let headers = trained.flat_map(move |minibatch| headers(minibatch, spec));
    headers.map(move |header| MicrobatchHeader { form, ..header })
}

/// The mirror steps of a layer.
fn mirror<'a>(spec: &'a StageSpec, layer: &str) -> Option<&'a Mirror> {
    spec.layers.iter().find(|known| known.name == layer)?.rule.mirror()
}

/// The number in the header of each mirror step: in the delay phase the number of the mirror step, from 1, and later
/// the number of the update before it.
fn mirrored<'a>(work: &'a [Work], mirror: &'a Mirror) -> impl Iterator<Item = u64> + 'a {
    work.iter().flat_map(|work| match work {
        Work::Align(align) => align.done + 1..(align.done + align.steps).min(mirror.delay) + 1,
        Work::Minibatch(minibatch) if is_due(mirror, minibatch) => minibatch.step..minibatch.step + 1,
        Work::Minibatch(_) | Work::Snapshot => 0..0,
    })
}

/// Whether a mirror step follows the update of `minibatch`.
fn is_due(mirror: &Mirror, minibatch: &Minibatch) -> bool {
    let trains = minibatch.phase == Phase::Train;
    trains && mirror.every > 0 && minibatch.updates.is_multiple_of(mirror.every)
}

/// The header of a mirror step's message, which is one microbatch.
fn of_noise(spec: &StageSpec, form: u32, step: u64, mirror: &Mirror) -> MicrobatchHeader {
    MicrobatchHeader {
        run: spec.run.clone(),
        incarnation: spec.incarnation,
        phase: Phase::Train,
        id: MicrobatchId { step, index: 0 },
        minibatch: mirror.batch,
        microbatches: 1,
        offset: 0,
        size: mirror.batch,
        form,
    }
}

/// The payload bytes that one half of a stage sends to the other.
pub(super) struct Exchanged {
    /// For each training sample.
    of_sample: u64,
    /// In each mirror step of a layer.
    noise: Vec<(Mirror, u64)>,
}

impl Exchanged {
    /// The bytes that the node `half` sends.
    pub(super) fn of(half: &StageSpec) -> Result<Self, ProtocolError> {
        let mut exchanged = Self { of_sample: 0, noise: Vec::new() };
        let bytes = |parcel: &Parcel| -> u64 {
            parcel.content.values.iter().map(|value| value.bytes(half.wire)).sum()
        };
        for crossing in half.crossings()? {
            match half.half {
                Half::Backward => exchanged.of_sample += crossing.returned.as_ref().map_or(0, bytes),
                Half::Forward => {
                    let sent = [&crossing.sample, &crossing.error].into_iter().flatten();
                    exchanged.of_sample += sent.map(bytes).sum::<u64>();
                    let noise = crossing.noise.as_ref().zip(mirror(half, &crossing.layer));
                    let noise =
                        noise.map(|(parcel, mirror)| (*mirror, bytes(parcel) * u64::from(mirror.batch)));
                    exchanged.noise.extend(noise);
                }
            }
        }
        Ok(exchanged)
    }

    /// The bytes in the step of `minibatch`.
    pub(super) fn bytes(&self, minibatch: &Minibatch) -> u64 {
        if minibatch.phase == Phase::Evaluate {
            return 0;
        }
        let mirrored = self.noise.iter().filter(|(mirror, _)| is_due(mirror, minibatch));
        u64::from(minibatch.samples) * self.of_sample + mirrored.map(|(_, bytes)| bytes).sum::<u64>()
    }
}
