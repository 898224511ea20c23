//! The payload bytes that a node sends in a step, computed from its specification.

use proto::control::StepDone;
use proto::error::ProtocolError;
use proto::microbatch::Phase;
use proto::spec::graph::{INPUT, Value};
use proto::spec::split::{Crossing, Parcel};
use proto::spec::stage::{Half, StageSpec};
use proto::tensor::Kind;

/// The payload bytes that a node sends.
pub(super) struct Sent {
    /// To the neighbour above, for one sample.
    forward: u64,
    /// To the neighbour below, for one sample of a training step.
    backward: u64,
    /// To the other half of the stage, for one sample of a training step.
    split: u64,
    /// To the other half of the stage, in mirror steps.
    mirrors: Vec<Mirror>,
}

/// The noise of a layer and its y, which cross after an update.
struct Mirror {
    /// Updates between the mirror steps; 0 for none.
    every: u64,
    bytes: u64,
}

impl Sent {
    /// The bytes that the node of `spec` sends.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub(super) fn of(spec: &StageSpec) -> Result<Self, ProtocolError> {
        let crossings = spec.crossings()?;
        let parcels = |parcels: fn(&Crossing) -> [&Option<Parcel>; 2]| {
            let parcels = crossings.iter().flat_map(parcels).flatten();
            parcels.map(|parcel| bytes(parcel.content.values.iter(), spec.wire)).sum()
        };
        if spec.half == Half::Backward {
            let split = parcels(|crossing| [&crossing.returned, &None]);
            return Ok(Self { forward: 0, backward: 0, split, mirrors: Vec::new() });
        }
        let below = spec.inputs.iter().filter(|value| value.name != INPUT);
        Ok(Self {
            forward: bytes(spec.output_values()?.iter(), spec.wire_above()),
            backward: bytes(below, spec.wire),
            split: parcels(|crossing| [&crossing.sample, &crossing.error]),
            mirrors: crossings.iter().filter_map(|crossing| Mirror::of(spec, crossing)).collect(),
        })
    }

    /// Checks the bytes in the report of a minibatch of so many samples, after which there are `updates`.
    ///
    /// # Errors
    /// A sentence with the bytes of the report and the expected bytes.
    pub(super) fn check(&self, done: &StepDone, samples: u64, updates: u64) -> Result<(), String> {
        let training = done.phase == Phase::Train;
        let of_training = |bytes: u64| if training { bytes } else { 0 };
        let sent = [done.bytes_forward, done.bytes_backward];
        let should = [self.forward, of_training(self.backward)].map(|bytes| bytes * samples);
        if sent != should {
            let ([forward, backward], [above, below]) = (sent, should);
            return Err(format!(
                "it says that {forward} bytes were sent above and {backward} below, where {above} and {below} are due"
            ));
        }
        let mirrors = self.mirrors.iter().filter(|mirror| mirror.follows(updates));
        let should = of_training(self.split * samples + mirrors.map(|mirror| mirror.bytes).sum::<u64>());
        if done.bytes_split != should {
            let said = done.bytes_split;
            return Err(format!(
                "it says that {said} bytes were sent to the other half of the stage, where {should} are due"
            ));
        }
        Ok(())
    }
}

impl Mirror {
    /// The mirror steps of a split layer; `None` where its rule has none.
    fn of(spec: &StageSpec, crossing: &Crossing) -> Option<Self> {
        let noise = &crossing.noise.as_ref()?.content;
        let layer = spec.layers.iter().find(|layer| layer.name == crossing.layer)?;
        let samples = u64::from(noise.max_microbatch);
        Some(Self {
            every: layer.rule.mirror()?.every,
            bytes: samples * bytes(noise.values.iter(), spec.wire),
        })
    }

    /// Whether a mirror step follows the update with the number `updates`.
    fn follows(&self, updates: u64) -> bool {
        self.every > 0 && updates.is_multiple_of(self.every)
    }
}

/// The bytes of one sample of all `values` on a link whose number format is `wire`.
fn bytes<'a>(values: impl Iterator<Item = &'a Value>, wire: Kind) -> u64 {
    values.map(|value| value.bytes(wire)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{Init, LayerSpec, Op};
    use proto::spec::rule::{Alignment, Coefficients, Mirror as Steps, Noise, Primitive, RuleSpec};

    /// A stage of two dense layers in f16, from three numbers by four to two, under `rule`; only the second is split if
    /// `some`.
    fn stage(rule: RuleSpec, some: bool) -> StageSpec {
        let dense = |name: &str, input: &str, out, split| LayerSpec {
            rule: rule.clone(),
            split,
            ..LayerSpec::new(name, &[input], Op::Linear { out, bias: false, init: Init::FanIn })
        };
        let layers = vec![dense("first", "below", 4, !some), dense("second", "first", 2, true)];
        let inputs = vec![Value { name: "below".into(), shape: vec![3] }];
        StageSpec { wire: Kind::F16, max_microbatch: 8, ..StageSpec::alone(layers, inputs) }
    }

    fn mirrored(every: u64) -> RuleSpec {
        let mirror = Steps { noise: Noise::Normal, sigma: 1.0, batch: 6, every, delay: 3 };
        RuleSpec::Learned {
            name: "weight_mirror".into(),
            task: false,
            coefficients: Coefficients::new(&[(Primitive::Amp, 1.0), (Primitive::Decay, 1.0)]),
            alignment: Alignment { mirror: Some(mirror), ..Alignment::default() },
        }
    }

    /// The numbers that cross between the halves in a step of five samples after which there are `updates`: to the host
    /// of B, and back.
    fn crossed(spec: &StageSpec, phase: Phase, updates: u64) -> [u64; 2] {
        [spec.clone(), spec.backward_half().unwrap()].map(|half| {
            let (sent, forward) = (Sent::of(&half).unwrap(), half.half == Half::Forward);
            let backward = if forward && phase == Phase::Train { 5 * 3 * 2 } else { 0 };
            let bytes_forward = if forward { 5 * 2 * 2 } else { 0 };
            let done = StepDone { bytes_forward, bytes_backward: backward, ..StepDone::nothing(phase) };
            let said = |bytes_split| sent.check(&StepDone { bytes_split, ..done.clone() }, 5, updates);
            let (right, others): (Vec<u64>, Vec<u64>) = (0..1000).partition(|bytes| said(*bytes).is_ok());
            assert!(
                others.iter().all(|bytes| said(*bytes).unwrap_err().contains("the other half of the stage"))
            );
            assert_eq!((right.len(), right[0] % 2), (1, 0));
            right[0] / 2
        })
    }

    #[test]
    fn what_crosses_between_the_halves_follows_from_the_rule() {
        let learned = |name: &str, task, coefficients| RuleSpec::learned(name, task, coefficients);
        let feedback = learned("feedback_alignment", false, Coefficients::default());
        let decay = Coefficients::new(&[(Primitive::Decay, 1.0)]);
        let pollack = learned("kolen_pollack", true, decay);
        let amp = learned("activation_alignment", false, Coefficients::new(&[(Primitive::Amp, 1.0)]));
        for (spec, due) in [
            // The errors at both y cross to B's host, and the errors at both x come back.
            (stage(feedback.clone(), false), [5 * (4 + 2), 5 * (3 + 4)]),
            (stage(feedback, true), [5 * 2, 5 * 4]),
            // x as well.
            (stage(pollack, false), [5 * (3 + 4 + 4 + 2), 5 * (3 + 4)]),
            // x and y.
            (stage(amp, true), [5 * (4 + 2 + 2), 5 * 4]),
        ] {
            assert_eq!(crossed(&spec, Phase::Train, 7), due);
            assert_eq!(crossed(&spec, Phase::Evaluate, 7), [0, 0], "an evaluation needs W alone");
        }
    }

    #[test]
    fn noise_crosses_after_the_updates_that_a_mirror_step_follows() {
        let noise = 6 * (3 + 4) + 6 * (4 + 2);
        let (to, back) = (5 * (4 + 2), 5 * (3 + 4));
        for (every, updates, noise) in
            [(1, 7, noise), (3, 7, 0), (3, 8, 0), (3, 9, noise), (0, 7, 0), (0, 0, 0)]
        {
            let spec = stage(mirrored(every), false);
            assert_eq!(crossed(&spec, Phase::Train, updates), [to + noise, back], "{every} {updates}");
            assert_eq!(crossed(&spec, Phase::Evaluate, updates), [0, 0]);
        }
    }
}
