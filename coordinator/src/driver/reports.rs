//! The content of a node's report of a step, as far as the coordinator knows it: the actions of the lane, the weight
//! layers of the stage, and the bytes that the node sends. The node itself chooses only the times and norms of a
//! report.

use super::sent::Sent;
use super::transfers::Transfers;
use proto::control::{LayerMeasure, Measure, StepDone, Underflow};
use proto::error::ProtocolError;
use proto::lane::{Action, Lane};
use proto::microbatch::Phase;
use proto::spec::stage::{Half, StageSpec};
use proto::tensor::Kind;

/// The facts that all reports of one node share.
pub(super) struct Reporting {
    /// The names of the weight layers, in order, and whether their B is on another host.
    layers: Vec<(String, bool)>,
    /// Whether U has a second span, that of B's part.
    two_parts: bool,
    sent: Sent,
    transfers: Transfers,
    /// The number format of the links.
    wire: Kind,
}

/// The minibatch that a report is about.
pub(super) struct Reported<'a> {
    /// The node's lane for one step.
    pub lane: &'a Lane,
    /// N.
    pub samples: usize,
    /// What the node measures of the layers.
    pub measure: Measure,
    /// The number of updates after the minibatch.
    pub updates: u64,
    /// Whether a timeline is due.
    pub timeline: bool,
}

impl Reporting {
    /// The reports of the node of `spec`. A backward node measures no layer, because it has no W.
    ///
    /// # Errors
    /// Shapes that do not fit, by the layer's name.
    pub(super) fn of(spec: &StageSpec) -> Result<Self, ProtocolError> {
        let measures = spec.half == Half::Forward;
        let layers = spec.layers.iter().filter(|layer| measures && layer.op.is_weight());
        let layers = layers.map(|layer| (layer.name.clone(), layer.split)).collect();
        let (two_parts, transfers) = (spec.updates_in_two_parts(), Transfers::of(spec)?);
        Ok(Self { layers, two_parts, sent: Sent::of(spec)?, transfers, wire: spec.wire })
    }

    /// Checks a report.
    ///
    /// # Errors
    /// A sentence with the value of the report and the expected value.
    pub(super) fn check(&self, done: &StepDone, due: &Reported<'_>) -> Result<(), String> {
        let Reported { lane, samples, measure, updates, timeline } = due;
        let second = self.two_parts && lane.phase() == Phase::Train;
        let second = second.then_some((Action::Update(done.step), true));
        let actions = lane.actions().iter().map(|action| (action.in_step(done.step), false)).chain(second);
        if !done.spans.iter().map(|span| (span.action, span.backward)).eq(actions) {
            let (found, due) = (done.spans.len(), lane.actions().len() + usize::from(second.is_some()));
            return Err(format!(
                "it has times of {found} actions that are not the {due} actions of its lane, in order"
            ));
        }
        if let Some(span) = done.spans.iter().find(|span| span.start_ns > span.end_ns) {
            return Err(format!("{} ends before it begins", span.action));
        }
        match &done.timeline {
            Some(found) if *timeline => self.transfers.check(found, lane)?,
            Some(_) => return Err("it has a timeline, for which nobody asked".into()),
            None => {}
        }
        self.check_layers(done, *measure)?;
        self.sent.check(done, *samples as u64, *updates)?;
        if !self.can_lose(done) {
            let wire = self.wire;
            return Err(format!(
                "it says that more numbers became 0 in {wire} than it sent in a format that loses some"
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

    /// Whether so many numbers as the report counts can have become 0 on the links.
    fn can_lose(&self, done: &StepDone) -> bool {
        let &Underflow { activations, error_signals, layer_values } = &done.underflow;
        let numbers = |bytes: u64| most_lost(self.wire, bytes);
        activations <= numbers(done.bytes_forward)
            && error_signals <= numbers(done.bytes_backward.saturating_add(done.bytes_split))
            && layer_values <= numbers(done.bytes_split)
    }

    /// Checks the measurements of the layers.
    fn check_layers(&self, done: &StepDone, measure: Measure) -> Result<(), String> {
        let due = if measure.is_due() { self.layers.as_slice() } else { &[] };
        let named = done.layers.iter().map(|layer| &layer.name);
        if !named.eq(due.iter().map(|(name, _)| name)) {
            let (found, due) = (done.layers.len(), due.len());
            return Err(format!(
                "it measures {found} layers where the {due} weight layers of the stage are due"
            ));
        }
        let placed = |(layer, (_, split)): &(&LayerMeasure, &(String, bool))| layer.split == *split;
        if let Some((layer, _)) = done.layers.iter().zip(due).find(|pair| !placed(pair)) {
            let hosts = if layer.split { ["two hosts", "one"] } else { ["one host", "two"] };
            let ([said, due], name) = (hosts, &layer.name);
            return Err(format!("it measures '{name}' with W and B on {said}, where they are on {due}"));
        }
        match done.layers.iter().find(|layer| !possible(layer, measure)) {
            Some(layer) => Err(format!("no layer has an angle or a norm as '{}' has", layer.name)),
            None => Ok(()),
        }
    }
}

/// The most numbers in so many bytes on links in `wire`, if they can become 0 there.
fn most_lost(wire: Kind, bytes: u64) -> u64 {
    match wire {
        Kind::F16 => bytes / 2,
        Kind::Int8(_) => bytes,
        Kind::F32 | Kind::Bf16 | Kind::U8 => 0,
    }
}

/// Whether a measurement can be that of a layer. A number without a value is NaN, and so is every number that compares W
/// with a B on another host, and every angle of signals in a step that does not measure them.
fn possible(layer: &LayerMeasure, measure: Measure) -> bool {
    let &LayerMeasure { angle_deg, norm_ratio, norm, difference, split, .. } = layer;
    let signals = [layer.output_angle_deg, layer.error_angle_deg];
    let unknown = |values: &[f64]| values.iter().all(|value| value.is_nan());
    let split_is_unknown = unknown(&[angle_deg, norm_ratio, difference]) && unknown(&signals);
    let norms = [norm_ratio, norm, difference].into_iter().all(|norm| norm.is_nan() || norm >= 0.0);
    let is_angle = |angle: &f64| angle.is_nan() || (0.0..=180.0).contains(angle);
    (split_is_unknown || !split)
        && (measure == Measure::Signals || unknown(&signals))
        && norms
        && signals.iter().chain([&angle_deg]).all(is_angle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::Span;
    use proto::spec::graph::{Init, LayerSpec, Op, Value};
    use proto::spec::rule::{Coefficients, RuleSpec};

    fn dense(name: &str, input: &str) -> LayerSpec {
        LayerSpec::new(name, &[input], Op::Linear { out: 2, bias: false, init: Init::FanIn })
    }

    /// A report of training step 7 by a stage of two dense layers, which takes three numbers and sends two.
    fn report() -> StepDone {
        let span = |word: &str| {
            let action: Action = word.parse().unwrap();
            Span::of(action.in_step(7), 1, 2)
        };
        let layer = |name: &str| LayerMeasure {
            name: name.into(),
            angle_deg: f64::NAN,
            norm_ratio: 1.0,
            norm: f64::INFINITY,
            difference: 0.0,
            split: false,
            output_angle_deg: 90.0,
            error_angle_deg: f64::NAN,
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
            reporting.check(
                done,
                &Reported { lane, samples: 5, measure: Measure::Signals, updates: 7, timeline: false },
            )
        };
        assert_eq!(check(&report(), &lane), Ok(()));
        type Change = fn(&mut StepDone);
        let table: [(Change, &str); 13] = [
            (|done| _ = done.spans.pop(), "it has times of 3 actions that are not the 4 actions of its lane"),
            (|done| done.spans.push(done.spans[0]), "it has times of 5 actions"),
            (|done| done.spans.swap(1, 2), "it has times of 4 actions that are not the 4 actions"),
            (|done| done.spans[0].start_ns = 3, "F0 ends before it begins"),
            (|done| done.layers[1].name = "third".into(), "it measures 2 layers where the 2 weight layers"),
            (|done| done.layers.push(done.layers[0].clone()), "it measures 3 layers where"),
            (|done| done.layers[0].norm = -0.1, "no layer has an angle or a norm as 'first' has"),
            (|done| done.layers[0].angle_deg = 180.5, "no layer has an angle"),
            (|done| done.layers[0].error_angle_deg = -0.5, "no layer has an angle"),
            (
                |done| done.layers[0].split = true,
                "it measures 'first' with W and B on two hosts, where they are on one",
            ),
            (
                |done| done.bytes_split = 1,
                "it says that 1 bytes were sent to the other half of the stage, where 0 are due",
            ),
            (
                |done| done.bytes_backward += 4,
                "it says that 40 bytes were sent above and 64 below, where 40 and 60",
            ),
            (|done| done.underflow.activations = 1, "it says that more numbers became 0 in f32 than"),
        ];
        for (change, says) in table {
            let mut done = report();
            change(&mut done);
            let why = check(&done, &lane).unwrap_err();
            assert!(why.starts_with(says), "{why}");
        }
        let matrices =
            Reported { lane: &lane, samples: 5, measure: Measure::Matrices, updates: 7, timeline: false };
        assert!(reporting.check(&report(), &matrices).unwrap_err().starts_with("no layer has an angle"));
        let evaluation = Lane::evaluate(1);
        let mut done = StepDone { bytes_backward: 0, phase: Phase::Evaluate, ..report() };
        done.spans.truncate(1);
        assert_eq!(check(&done, &evaluation), Ok(()));
        done.updates = 6;
        assert!(check(&done, &evaluation).unwrap_err().contains("made 6 updates where the run has made 7"));
    }

    #[test]
    fn u_has_a_second_span_where_a_b_of_its_own_follows() {
        let inputs = vec![Value { name: "below".into(), shape: vec![3] }];
        let rule = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
        let layers = vec![dense("first", "below"), LayerSpec { rule, ..dense("second", "first") }];
        let reporting = Reporting::of(&StageSpec::alone(layers, inputs)).unwrap();
        let mut done = report();
        let actions = done.spans.iter().map(|span| span.action.in_step(0)).collect();
        let lane = Lane::new(Phase::Train, Default::default(), actions).unwrap();
        let due =
            Reported { lane: &lane, samples: 5, measure: Measure::Signals, updates: 7, timeline: false };
        let why = reporting.check(&done, &due).unwrap_err();
        assert!(why.starts_with("it has times of 4 actions that are not the 5 actions"), "{why}");
        done.spans.push(Span { start_ns: 5, end_ns: 9, ..done.spans[3] });
        assert!(reporting.check(&done, &due).is_err(), "the second span is B's");
        done.spans[4].backward = true;
        assert_eq!(reporting.check(&done, &due), Ok(()));
    }

    #[test]
    fn a_split_layer_is_measured_without_b_and_a_backward_node_measures_nothing() {
        let inputs = vec![Value { name: "below".into(), shape: vec![3] }];
        let rule = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
        let layers =
            vec![dense("first", "below"), LayerSpec { rule, split: true, ..dense("second", "first") }];
        let spec = StageSpec { max_microbatch: 5, ..StageSpec::alone(layers, inputs) };
        let actions = report().spans.iter().map(|span| span.action.in_step(0)).collect();
        let lane = Lane::new(Phase::Train, Default::default(), actions).unwrap();
        let due =
            Reported { lane: &lane, samples: 5, measure: Measure::Signals, updates: 7, timeline: false };
        let forward = Reporting::of(&spec).unwrap();
        let mut done = StepDone { bytes_split: 4 * 2 * 5, ..report() };
        assert!(forward.check(&done, &due).unwrap_err().contains("'second' with W and B on one host"));
        done.layers[1].split = true;
        assert!(
            forward.check(&done, &due).unwrap_err().contains("no layer has an angle or a norm as 'second'")
        );
        (done.layers[1].norm_ratio, done.layers[1].difference) = (f64::NAN, f64::NAN);
        done.layers[1].output_angle_deg = f64::NAN;
        assert_eq!(forward.check(&done, &due), Ok(()));
        let half_size = Reporting { wire: Kind::F16, ..Reporting::of(&spec).unwrap() };
        let lost = |activations, error_signals, layer_values| {
            let underflow = Underflow { activations, error_signals, layer_values };
            half_size.can_lose(&StepDone { underflow, ..done.clone() })
        };
        assert!(lost(20, 50, 20) && !lost(21, 0, 0) && !lost(0, 51, 0) && !lost(0, 0, 21));

        let backward = Reporting::of(&spec.backward_half().unwrap()).unwrap();
        let mut half = StepDone { bytes_forward: 0, bytes_backward: 0, layers: Vec::new(), ..done };
        assert_eq!(backward.check(&half, &due), Ok(()));
        half.layers = report().layers;
        assert!(backward.check(&half, &due).unwrap_err().starts_with("it measures 2 layers where the 0"));
    }
}
