//! The widest honest report of a step: numbers that the plan knows have their values, and times and norms have their
//! most digits.

use super::Minibatch;
use super::halves::Exchanged;
use crate::driver::{Due, Transfers};
use proto::control::{LayerMeasure, Overflow, Span, StepDone, Underflow};
use proto::error::ProtocolError;
use proto::lane::{Action, Lane};
use proto::link::Carried;
use proto::microbatch::Phase;
use proto::spec::graph::{INPUT, LayerSpec, Value};
use proto::spec::stage::{Half, StageSpec};
use proto::tensor::Kind;
use proto::timeline::{Exchange, Timeline, Transfer};
use std::time::Duration;

/// The widest count: 9 bytes on the wire, as the nanoseconds since 1970 take.
pub(super) const WIDE: u64 = i64::MAX as u64;
/// The longest time that one step may take: 7 bytes in nanoseconds, six days.
const LONG: Duration = Duration::from_nanos((1 << 49) - 1);

/// The facts that all reports of one node share.
pub(super) struct Reporting {
    /// The weight layers, with the most digits of their norms.
    layers: Vec<LayerMeasure>,
    /// The bytes that the node sends above and below, for one sample.
    forward: u64,
    backward: u64,
    /// The bytes that the node sends to the other half of its stage.
    split: Exchanged,
    transfers: Transfers,
    /// Whether U has a second span, that of B's part.
    two_parts: bool,
    /// The number format of the links.
    wire: Kind,
}

impl Reporting {
    /// The reports of the node `spec`.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub(super) fn of(spec: &StageSpec) -> Result<Self, ProtocolError> {
        let (split, transfers) = (Exchanged::of(spec)?, Transfers::of(spec)?);
        if spec.half == Half::Backward {
            let (two_parts, wire) = (false, spec.wire);
            return Ok(Self {
                layers: Vec::new(),
                forward: 0,
                backward: 0,
                split,
                transfers,
                two_parts,
                wire,
            });
        }
        let bytes = |value: &Value| value.bytes(spec.wire);
        let below = spec.inputs.iter().filter(|value| value.name != INPUT);
        let layers = spec.layers.iter().filter(|layer| layer.op.is_weight());
        Ok(Self {
            layers: layers.map(measured).collect(),
            forward: spec.output_values()?.iter().map(|value| value.bytes(spec.wire_above())).sum(),
            backward: below.map(bytes).sum(),
            split,
            transfers,
            two_parts: spec.updates_in_two_parts(),
            wire: spec.wire,
        })
    }

    /// The widest report of `minibatch`, in which the node follows `lane`.
    pub(super) fn widest(&self, minibatch: &Minibatch, lane: &Lane) -> StepDone {
        let samples = u64::from(minibatch.samples);
        let span = |&action: &Action| Span::of(action, WIDE, WIDE);
        let is_second = |action: &&Action| self.two_parts && matches!(action, Action::Update(_));
        let second = lane.actions().iter().filter(is_second);
        let second = second.map(|action| Span { backward: true, ..span(action) });
        let bytes_backward = match minibatch.phase {
            Phase::Train => samples * self.backward,
            Phase::Evaluate => 0,
        };
        let (bytes_forward, bytes_split) = (samples * self.forward, self.split.bytes(minibatch));
        // Only in f16 and in 8 bits can numbers become 0, at most all of them.
        let lost = |bytes: u64| match self.wire {
            Kind::F16 => bytes / 2,
            Kind::Int8(_) => bytes,
            Kind::F32 | Kind::Bf16 | Kind::U8 => 0,
        };
        StepDone {
            step: minibatch.step,
            phase: minibatch.phase,
            spans: lane.actions().iter().map(span).chain(second).collect(),
            compute: LONG,
            wait: LONG,
            send: LONG,
            bytes_forward,
            bytes_backward,
            bytes_split,
            finite: true,
            overflow: Some(Overflow { largest: f64::MAX, of: Carried::LayerValues }),
            underflow: Underflow {
                activations: lost(bytes_forward),
                error_signals: lost(bytes_backward + bytes_split),
                layer_values: lost(bytes_split),
            },
            updates: minibatch.updates,
            layers: if minibatch.measure.is_due() { self.layers.clone() } else { Vec::new() },
            timeline: minibatch.timeline.then(|| self.timeline(lane)),
        }
    }

    /// The widest timeline of a step in which the node follows `lane`.
    fn timeline(&self, lane: &Lane) -> Timeline {
        let widest = |Due { peer, sent, carried, microbatch, form }| Transfer {
            peer,
            sent,
            carried,
            microbatch,
            form,
            bytes: WIDE,
            start_ns: WIDE,
            end_ns: WIDE,
            transport_ns: Some(WIDE),
        };
        let exchange = Exchange { received_ns: WIDE, answered_ns: WIDE, ..Exchange::default() };
        Timeline { transfers: self.transfers.due(lane).into_iter().map(widest).collect(), exchange }
    }
}

fn measured(layer: &LayerSpec) -> LayerMeasure {
    let number = f64::MAX;
    LayerMeasure {
        name: layer.name.clone(),
        angle_deg: number,
        norm_ratio: number,
        norm: number,
        difference: number,
        split: layer.split,
        output_angle_deg: number,
        error_angle_deg: number,
    }
}
