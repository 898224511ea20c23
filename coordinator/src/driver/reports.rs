//! The content of a node's report of a step, as far as the coordinator knows it: the actions of the lane, the weight
//! layers of the stage, and the bytes that the stage sends. A report has no room for anything else of the node's own
//! choice but times and norms.

use proto::control::{LayerMeasure, StepDone};
use proto::error::ProtocolError;
use proto::lane::Lane;
use proto::microbatch::Phase;
use proto::spec::graph::{INPUT, Value};
use proto::spec::stage::StageSpec;
use proto::tensor::{Kind, byte_len};

/// What the reports of one stage have in common.
pub(super) struct Reporting {
    /// The names of the weight layers, in order.
    layers: Vec<String>,
    /// The bytes that the stage sends above and below, for one sample.
    forward: u64,
    backward: u64,
}

/// The minibatch that a report is about.
pub(super) struct Reported<'a> {
    /// The stage's lane for one step.
    pub lane: &'a Lane,
    /// N.
    pub samples: usize,
    /// Whether the layers are measured after the update.
    pub measure: bool,
    /// The number of updates after the minibatch.
    pub updates: u64,
}

impl Reporting {
    /// The reports of the stage of `spec`.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub(super) fn of(spec: &StageSpec) -> Result<Self, ProtocolError> {
        let layers = spec.layers.iter().filter(|layer| layer.op.is_weight());
        let below = spec.inputs.iter().filter(|value| value.name != INPUT);
        Ok(Self {
            layers: layers.map(|layer| layer.name.clone()).collect(),
            forward: bytes(spec.output_values()?.iter(), spec.wire),
            backward: bytes(below, spec.wire),
        })
    }

    /// Checks a report.
    ///
    /// # Errors
    /// What the report says, and what is due.
    pub(super) fn check(&self, done: &StepDone, due: &Reported<'_>) -> Result<(), String> {
        let Reported { lane, samples, measure, updates } = due;
        let actions = lane.actions().iter().map(|action| action.in_step(done.step));
        if !done.spans.iter().map(|span| span.action).eq(actions) {
            let (found, due) = (done.spans.len(), lane.actions().len());
            return Err(format!(
                "it has times of {found} actions that are not the {due} actions of its lane, in order"
            ));
        }
        if let Some(span) = done.spans.iter().find(|span| span.start_ns > span.end_ns) {
            return Err(format!("{} ends before it begins", span.action));
        }
        let named = done.layers.iter().map(|layer| &layer.name);
        if !named.eq(self.layers.iter().filter(|_| *measure)) {
            let (found, due) = (done.layers.len(), if *measure { self.layers.len() } else { 0 });
            return Err(format!(
                "it measures {found} layers where the {due} weight layers of the stage are due"
            ));
        }
        if let Some(layer) = done.layers.iter().find(|layer| !possible(layer)) {
            return Err(format!("no layer has an angle or a norm as '{}' has", layer.name));
        }
        let sent = [done.bytes_forward, done.bytes_backward];
        let backward = if lane.phase() == Phase::Train { self.backward } else { 0 };
        let due = [self.forward, backward].map(|bytes| bytes * *samples as u64);
        if sent != due {
            let ([forward, backward], [above, below]) = (sent, due);
            return Err(format!(
                "it says that {forward} bytes were sent above and {backward} below, where {above} and {below} are due"
            ));
        }
        if lane.phase() == Phase::Evaluate && done.updates != *updates {
            let made = done.updates;
            return Err(format!(
                "it says that the stage has made {made} updates where the run has made {updates}"
            ));
        }
        Ok(())
    }
}

/// The bytes of one sample of all `values`.
fn bytes<'a>(values: impl Iterator<Item = &'a Value>, kind: Kind) -> u64 {
    values.map(|value| byte_len(kind, &value.shape).unwrap_or(0) as u64).sum()
}

/// Whether a measurement can be that of a layer. A number without a value is NaN.
fn possible(layer: &LayerMeasure) -> bool {
    let LayerMeasure { angle_deg, norm_ratio, norm, difference, .. } = layer;
    let norms = [norm_ratio, norm, difference].into_iter().all(|norm| norm.is_nan() || *norm >= 0.0);
    norms && (angle_deg.is_nan() || (0.0..=180.0).contains(angle_deg))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::Span;
    use proto::lane::Action;
    use proto::spec::graph::{Init, LayerSpec, Op};

    fn dense(name: &str, input: &str) -> LayerSpec {
        LayerSpec::new(name, &[input], Op::Linear { out: 2, bias: false, init: Init::FanIn })
    }

    /// A report of training step 7 by a stage of two dense layers, which takes three numbers and sends two.
    fn report() -> StepDone {
        let span = |word: &str| {
            let action: Action = word.parse().unwrap();
            Span { action: action.in_step(7), start_ns: 1, end_ns: 2 }
        };
        let layer = |name: &str| LayerMeasure {
            name: name.into(),
            angle_deg: f64::NAN,
            norm_ratio: 1.0,
            norm: f64::INFINITY,
            difference: 0.0,
        };
        StepDone {
            step: 7,
            updates: 7,
            spans: "F0 E0 G0 U".split(' ').map(span).collect(),
            bytes_forward: 4 * 2 * 5,
            bytes_backward: 4 * 3 * 5,
            layers: vec![layer("first"), layer("second")],
            ..StepDone::nothing(Phase::Train)
        }
    }

    #[test]
    fn a_report_says_nothing_but_times_and_norms_of_its_own() {
        let inputs = vec![Value { name: "below".into(), shape: vec![3] }];
        let layers = vec![dense("first", "below"), dense("second", "first")];
        let reporting = Reporting::of(&StageSpec::alone(layers, inputs)).unwrap();
        let actions = report().spans.iter().map(|span| span.action.in_step(0)).collect();
        let lane = Lane::new(Phase::Train, Default::default(), actions).unwrap();
        let check = |done: &StepDone, lane: &Lane| {
            reporting.check(done, &Reported { lane, samples: 5, measure: true, updates: 7 })
        };
        assert_eq!(check(&report(), &lane), Ok(()));
        type Change = fn(&mut StepDone);
        let table: [(Change, &str); 9] = [
            (|done| _ = done.spans.pop(), "it has times of 3 actions that are not the 4 actions of its lane"),
            (|done| done.spans.push(done.spans[0]), "it has times of 5 actions"),
            (|done| done.spans.swap(1, 2), "it has times of 4 actions that are not the 4 actions"),
            (|done| done.spans[0].start_ns = 3, "F0 ends before it begins"),
            (|done| done.layers[1].name = "third".into(), "it measures 2 layers where the 2 weight layers"),
            (|done| done.layers.push(done.layers[0].clone()), "it measures 3 layers where"),
            (|done| done.layers[0].norm = -0.1, "no layer has an angle or a norm as 'first' has"),
            (|done| done.layers[0].angle_deg = 180.5, "no layer has an angle"),
            (
                |done| done.bytes_backward += 4,
                "it says that 40 bytes were sent above and 64 below, where 40 and 60",
            ),
        ];
        for (change, says) in table {
            let mut done = report();
            change(&mut done);
            let why = check(&done, &lane).unwrap_err();
            assert!(why.starts_with(says), "{why}");
        }
        let evaluation = Lane::evaluate(1);
        let mut done = StepDone { bytes_backward: 0, phase: Phase::Evaluate, ..report() };
        done.spans.truncate(1);
        assert_eq!(check(&done, &evaluation), Ok(()));
        done.updates = 6;
        assert!(check(&done, &evaluation).unwrap_err().contains("made 6 updates where the run has made 7"));
    }
}
