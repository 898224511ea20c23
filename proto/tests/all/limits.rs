//! Tests of the control plane's limits: a run's messages fit into them, and every message that fits stays small in
//! memory.

use prost::Message;
use proto::control::{
    Command, LayerMeasure, Measure, Minibatch, Overflow, Report, RunLane, Span, StepDone, Underflow,
};
use proto::lane::{Action, Lane, WeightVersion};
use proto::link::{Carried, Role};
use proto::microbatch::{MAX_MICROBATCHES, MicrobatchId, Phase};
use proto::spec::graph::Value;
use proto::spec::graph::{Init, LayerSpec, MAX_LAYERS, Op};
use proto::spec::rule::{Alignment, Coefficients, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use proto::timeline::{Exchange, MAX_TRANSFERS, Timeline, Transfer};
use proto::transport::{CONTROL_MESSAGE_LIMIT, REPORT_MESSAGE_LIMIT};
use proto::wire;
use std::time::Duration;

fn longest() -> Lane {
    let step = u64::MAX;
    let microbatches = (0..MAX_MICROBATCHES).map(|index| MicrobatchId { step, index });
    let mut actions: Vec<Action> = microbatches.clone().map(Action::Forward).collect();
    actions.extend(microbatches.flat_map(|m| [Action::Error(m), Action::Gradient(m)]));
    actions.push(Action::Update(step));
    Lane::new(Phase::Train, WeightVersion::OfForward, actions).unwrap()
}

#[test]
fn the_longest_lane_and_its_report_fit() {
    let lane = longest();
    let spans =
        lane.actions().iter().map(|&action| Span { backward: true, ..Span::of(action, u64::MAX, u64::MAX) });
    let transfer = Transfer {
        peer: Role::Backward(u32::MAX),
        sent: true,
        carried: Carried::LayerValues,
        microbatch: MAX_MICROBATCHES,
        form: u32::MAX,
        bytes: u64::MAX,
        start_ns: u64::MAX,
        end_ns: u64::MAX,
        transport_ns: Some(u64::MAX),
    };
    let exchange = Exchange { received_ns: u64::MAX, answered_ns: u64::MAX, ..Exchange::default() };
    let measure = |layer| LayerMeasure {
        name: format!("{layer:0128}"),
        angle_deg: 90.0,
        norm_ratio: 1.0,
        norm: 1.0,
        difference: 1.0,
        split: true,
        output_angle_deg: 90.0,
        error_angle_deg: 90.0,
    };
    let done = StepDone {
        step: u64::MAX,
        phase: Phase::Train,
        spans: spans.collect(),
        compute: Duration::MAX,
        wait: Duration::MAX,
        send: Duration::MAX,
        bytes_forward: u64::MAX,
        bytes_backward: u64::MAX,
        bytes_split: u64::MAX,
        finite: true,
        overflow: Some(Overflow { largest: f64::MAX, of: Carried::LayerValues }),
        underflow: Underflow { activations: u64::MAX, error_signals: u64::MAX, layer_values: u64::MAX },
        updates: u64::MAX,
        layers: (0..MAX_LAYERS).map(measure).collect(),
        timeline: Some(Timeline { transfers: vec![transfer; MAX_TRANSFERS], exchange }),
    };
    let report = wire::Report::from(Report::Step(done)).encoded_len();
    assert!(report < REPORT_MESSAGE_LIMIT, "{report}");
    let lane = RunLane::of_one_step(lane, u32::MAX, Measure::Signals);
    let command = wire::Command::from(Command::Lane(lane)).encoded_len();
    assert!(command < CONTROL_MESSAGE_LIMIT / 8, "{command}");
}

#[test]
fn a_stage_of_as_many_layers_as_there_may_be_fits() {
    let rule = RuleSpec::Learned {
        name: "information_alignment".into(),
        task: true,
        coefficients: Coefficients::new(&[
            (Primitive::Amp, 1e-3),
            (Primitive::Null, 1e-3),
            (Primitive::Sparse, 1e-3),
            (Primitive::Decay, 1e-3),
        ]),
        alignment: Alignment::default(),
    };
    let names: Vec<String> = (0..=MAX_LAYERS).map(|layer| format!("stage4.block{layer:05}.conv")).collect();
    let conv = Op::Conv2d { out: 2048, kernel: 3, stride: 1, padding: 1, bias: true, init: Init::FanIn };
    let layers = names
        .windows(2)
        .map(|names| LayerSpec { rule: rule.clone(), ..LayerSpec::new(&names[1], &[&names[0]], conv) });
    let inputs = vec![Value { name: names[0].clone(), shape: vec![2048, 7, 7] }];
    let stage = wire::Stage::from(StageSpec::alone(layers.collect(), inputs));
    let bytes = stage.encoded_len();
    assert!(bytes < CONTROL_MESSAGE_LIMIT, "{bytes}");
    assert!(StageSpec::try_from(stage).is_ok());
}

#[test]
fn the_smallest_parts_of_a_stage_take_little_more_memory_than_a_message() {
    let part = [size_of::<wire::LayerSpec>(), size_of::<wire::Value>(), size_of::<String>()];
    let most = part.map(|bytes| (CONTROL_MESSAGE_LIMIT / 2 * bytes) >> 20);
    assert!(most.iter().all(|mebibytes| *mebibytes < 64), "{most:?} MiB");
}

/// The result of decoding a command for a lane of `minibatches` steps of one microbatch each, after `harm`.
fn taken(minibatches: usize, harm: impl FnOnce(&mut wire::Lane)) -> Result<Command, String> {
    let action = |step| move |action: fn(MicrobatchId) -> Action| action(MicrobatchId { step, index: 0 });
    let of_step = |step| {
        let kinds = [Action::Forward, Action::Error, Action::Gradient].map(action(step));
        kinds.into_iter().chain([Action::Update(step)])
    };
    let actions = (5..5 + minibatches as u64).flat_map(of_step).collect();
    let lane = Lane::new(Phase::Train, WeightVersion::OfForward, actions).unwrap();
    let minibatches = vec![Minibatch { samples: 3, measure: Measure::Nothing, timeline: false }; minibatches];
    let mut lane = wire::Lane::from(RunLane { lane, minibatches });
    harm(&mut lane);
    let command = wire::Command { command: Some(wire::command::Command::Lane(lane)) };
    Command::try_from(command).map_err(|error| error.to_string())
}

#[test]
fn a_lane_of_several_steps_crosses_the_wire_and_a_hostile_one_is_refused() {
    let Ok(Command::Lane(RunLane { lane, minibatches })) = taken(2, |_| {}) else { panic!("it is valid") };
    assert_eq!((lane.to_string().as_str(), minibatches.len()), ("F5.0 E5.0 G5.0 U5 F6.0 E6.0 G6.0 U6", 2));
    let refused = |harm: fn(&mut wire::Lane)| taken(2, harm).unwrap_err();
    let many = refused(|lane| lane.actions = vec![lane.actions[0]; 12_290]);
    assert!(many.contains("a lane of 12290 actions is longer than 12289"), "{many}");
    let last = refused(|lane| lane.first = u64::MAX);
    assert!(last.contains("no step is number 1 after 18446744073709551615"), "{last}");
    let fewer = refused(|lane| lane.minibatches.truncate(1));
    assert!(fewer.contains("a lane of 2 steps cannot run 1 minibatches"), "{fewer}");
    let small = refused(|lane| lane.minibatches[1].samples = 0);
    assert!(small.contains("0 samples cannot make 1 microbatches"), "{small}");
    assert!(refused(|lane| lane.version = 0).contains("version of the weights"));
}
