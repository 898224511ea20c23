//! The widest honest report of a step: numbers that the plan knows have their values, and times and norms have their
//! most digits.

use super::Minibatch;
use super::halves::Exchanged;
use proto::control::{LayerMeasure, Overflow, Span, StepDone, Underflow};
use proto::error::ProtocolError;
use proto::lane::Action;
use proto::link::Carried;
use proto::microbatch::Phase;
use proto::spec::graph::{INPUT, LayerSpec, Value};
use proto::spec::stage::{Half, StageSpec};
use proto::tensor::Kind;
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
    /// The number format of the links.
    wire: Kind,
}

impl Reporting {
    /// The reports of the node `spec`.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub(super) fn of(spec: &StageSpec) -> Result<Self, ProtocolError> {
        let split = Exchanged::of(spec)?;
        if spec.half == Half::Backward {
            return Ok(Self { layers: Vec::new(), forward: 0, backward: 0, split, wire: spec.wire });
        }
        let bytes = |value: &Value| value.bytes(spec.wire);
        let below = spec.inputs.iter().filter(|value| value.name != INPUT);
        let layers = spec.layers.iter().filter(|layer| layer.op.is_weight());
        Ok(Self {
            layers: layers.map(measured).collect(),
            forward: spec.output_values()?.iter().map(|value| value.bytes(spec.wire_above())).sum(),
            backward: below.map(bytes).sum(),
            split,
            wire: spec.wire,
        })
    }

    /// The widest report of `minibatch`, whose lane has these actions.
    pub(super) fn widest(&self, minibatch: &Minibatch, actions: &[Action]) -> StepDone {
        let samples = u64::from(minibatch.samples);
        let span = |&action: &Action| Span { action, start_ns: WIDE, end_ns: WIDE };
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
            spans: actions.iter().map(span).collect(),
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
        }
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
