//! Tests of the lane runner: lanes of one step and of two, between two neighbours that are queues.

use super::*;
use crate::exec::account::{Account, Consumed};
use crate::exec::context::Of;
use crate::exec::device::fake::{self, LateStreams};
use crate::exec::device::gpu::Gpu;
use crate::exec::device::{self, Device};
use crate::exec::moments::Moments;
use crate::exec::outbox::Outbox;
use crate::exec::session::{Call, StageLinks};
use crate::meters::Meters;
use crate::settings::Settings;
use crate::stage::Whole;
use bytes::Bytes;
use proto::cancellation::Cancellation;
use proto::clock::Clock;
use proto::control::{Measure, Report, RunLane, Start, StepDone};
use proto::lane::Lane;
use proto::link::{Contract, Link, Peer, Port};
use proto::seed;
use proto::spec::graph::{Init, LayerSpec, Op, Value};
use proto::spec::optimizer::{Method, OptimizerSpec};
use proto::spec::rule::{Coefficients, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use proto::tensor::TensorData;
use rand_distr::{Distribution, StandardNormal};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const SIZES: [[u32; 2]; 2] = [[3, 2], [2, 2]];

/// A convolution, a norm and a dense layer: together they have every kind of state that an update changes.
fn spec(recompute: bool) -> StageSpec {
    let conv = Op::Conv2d { out: 4, kernel: 3, stride: 1, padding: 1, bias: true, init: Init::FanIn };
    let norm = Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 };
    let dense = Op::Linear { out: 3, bias: true, init: Init::FanIn };
    let rule = Coefficients::new(&[
        (Primitive::Amp, 1e-3),
        (Primitive::Null, 1e-4),
        (Primitive::Sparse, 1e-3),
        (Primitive::Self_, 2e-2),
        (Primitive::Decay, 1e-2),
    ]);
    let rule = RuleSpec::learned("custom", true, rule);
    let layers = vec![
        LayerSpec { rule: rule.clone(), ..LayerSpec::new("conv", &["below"], conv) },
        LayerSpec::new("norm", &["conv"], norm),
        LayerSpec::new("flat", &["norm"], Op::Flatten),
        LayerSpec { rule, ..LayerSpec::new("head", &["flat"], dense) },
    ];
    let method = Method::Sgd { momentum: 0.9, nesterov: true };
    let optimizer = OptimizerSpec { method, ..OptimizerSpec::sgd(0.1) };
    let inputs = vec![Value { name: "below".into(), shape: vec![2, 4, 4] }];
    let optimizer_backward = optimizer.clone();
    StageSpec { optimizer, optimizer_backward, recompute, stages: 2, ..StageSpec::alone(layers, inputs) }
}

/// A message for microbatch `m`, with a tensor of `shape` for each sample.
fn message(m: MicrobatchId, name: &str, shape: &[u64]) -> Message {
    let sizes = SIZES[m.step as usize - 7];
    let (size, offset) = (sizes[m.index as usize], if m.index == 0 { 0 } else { sizes[0] });
    let rng = seed::rng(1, &[name, &m.to_string()]);
    let shape = [&[u64::from(size)], shape].concat();
    let count = shape.iter().product::<u64>() as usize;
    let numbers: Vec<f32> = StandardNormal.sample_iter(rng).take(count).collect();
    let header = MicrobatchHeader {
        run: "alone".into(),
        incarnation: 1,
        phase: Phase::Train,
        id: m,
        minibatch: sizes.iter().sum(),
        microbatches: 2,
        offset,
        size,
        form: 0,
    };
    Message { header, tensors: vec![(name.into(), TensorData::from_f32(shape, &numbers).unwrap())] }
}

/// A neighbour that sends `messages` as fast as they are taken, and returns its received messages once the port is
/// dropped.
fn neighbour(peer: Peer, contract: Contract, messages: Vec<Message>) -> (Port, JoinHandle<Vec<Message>>) {
    let (port, mut transport) = Link::new(peer, contract).queues();
    let sending = transport.received;
    thread::spawn(move || messages.into_iter().for_each(|message| _ = sending.blocking_send(message)));
    let receive = move || std::iter::from_fn(|| transport.to_send.blocking_recv()).collect();
    (port, thread::spawn(receive))
}

/// A stage between two neighbours, and the messages and reports that it has sent.
struct Bench {
    spec: StageSpec,
    stage: Stage,
    device: Box<dyn Device>,
    links: StageLinks,
    call: Call,
    account: Account,
    context: Context,
    open: Option<OpenStep>,
    flight: InFlight,
    sent: [JoinHandle<Vec<Message>>; 2],
    reports: mpsc::Receiver<Result<Report>>,
    _runtime: Runtime,
}

impl Bench {
    fn new(recompute: bool) -> Self {
        Self::on(device::open(tch::Device::Cpu).unwrap(), recompute)
    }

    fn on(device: Box<dyn Device>, recompute: bool) -> Self {
        tch::set_num_threads(1);
        let spec = spec(recompute);
        let (place, kind) = device.options();
        let ids = [7, 8].into_iter().flat_map(|step| [0, 1].map(|index| MicrobatchId { step, index }));
        let (below, errors) = neighbour(
            Peer::coordinator(),
            spec.activations_below(),
            ids.clone().map(|m| message(m, "below", &[2, 4, 4])).collect(),
        );
        let (above, outputs) = neighbour(
            Peer::stage(1),
            spec.errors_above().unwrap(),
            ids.map(|m| message(m, "head", &[3])).collect(),
        );
        let (to_coordinator, reports) = mpsc::channel(8);
        let deadline = Duration::from_secs(10);
        let start = Start {
            run: "alone".into(),
            incarnation: 1,
            above: None,
            backward: None,
            connect_deadline: deadline,
            message_deadline: deadline,
        };
        let account = Account::default();
        account.begin(&spec, &Consumed::from_here(0), Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (clock, meters) = (Clock::start(), Meters::default());
        let outbox = Outbox::new(runtime.handle().clone(), device.is_asynchronous()).unwrap();
        Self {
            stage: Stage::new(&spec, Settings::of(&spec, place, kind)).unwrap(),
            links: StageLinks { below, above, backward: None },
            call: Call {
                start,
                reports: to_coordinator,
                cancellation: Cancellation::default(),
                moments: Moments::new(clock),
            },
            context: Context { runtime: runtime.handle().clone(), clock, meters, outbox },
            sent: [errors, outputs],
            spec,
            account,
            device,
            open: None,
            flight: InFlight::default(),
            reports,
            _runtime: runtime,
        }
    }

    fn run(&mut self, drawing: &str) -> Result<()> {
        self.follow(lane_of(drawing))
    }

    fn follow(&mut self, lane: Lane) -> Result<()> {
        let minibatch = |sizes: &[u32; 2]| Minibatch {
            samples: sizes.iter().sum(),
            measure: Measure::Signals,
            timeline: true,
        };
        let first = lane.first() as usize - 7;
        let minibatches = SIZES[first..first + lane.microbatches().len()].iter().map(minibatch).collect();
        let work = RunLane { lane, minibatches };
        let (ring, context, flight) = self.ring();
        LaneRunner::new(ring, Progress::new(&work, context, flight)).run()
    }

    /// Closes the step that is still open.
    fn finish(&mut self) -> Result<()> {
        let (mut ring, context, _) = self.ring();
        ring.finish(context)
    }

    fn ring(&mut self) -> (Ring<'_>, &Context, &mut InFlight) {
        let Self { stage, device, links, call, spec, account, context, open, flight, .. } = self;
        (Ring { stage, device: &mut **device, links, call, of: Of { spec, account }, open }, context, flight)
    }

    /// The bits of all sent messages and of the state, the reports without their times, and the consumed messages.
    fn found(mut self) -> (Vec<Bytes>, Vec<String>, Consumed) {
        self.finish().unwrap();
        drop((self.links, self.call));
        let sent = self.sent.into_iter().flat_map(|received| received.join().unwrap());
        let tensors = sent.flat_map(|message| message.tensors);
        let mut bits: Vec<_> = tensors.map(|(_, tensor)| tensor.into_bytes()).collect();
        bits.extend(self.stage.state().0.values().map(|tensor| crate::torch::lend(&tensor.copy()).unwrap()));
        let mut reports = Vec::new();
        while let Ok(Ok(Report::Step(done))) = self.reports.try_recv() {
            let actions: Vec<_> = done.spans.iter().map(|span| format!("{:#}", span.action)).collect();
            let StepDone { step, updates, bytes_forward, bytes_backward, finite, layers, .. } = done;
            reports.push(format!(
                "{step} {updates} {bytes_forward} {bytes_backward} {finite} {layers:?} {}",
                actions.join(" ")
            ));
        }
        (bits, reports, self.account.consumed())
    }
}

const STEPS: [&str; 2] = ["F7.0 F7.1 E7.0 G7.0 E7.1 G7.1 U7", "F8.0 E8.0 G8.0 F8.1 E8.1 G8.1 U8"];

#[test]
fn a_lane_of_two_steps_is_two_lanes_of_one() {
    for recompute in [false, true] {
        let [mut apart, mut together] = [Bench::new(recompute), Bench::new(recompute)];
        STEPS.iter().for_each(|step| apart.run(step).unwrap());
        together.run(&STEPS.join(" ")).unwrap();
        let (apart, together) = (apart.found(), together.found());
        assert_eq!(together.0.len(), 4 + 4 + 18, "outputs, errors below and the state");
        assert_eq!(together, apart);
        let messages: Vec<_> = together.2.records.iter().map(|record| record.messages).collect();
        assert_eq!(messages, [4; 4], "both directions of both links");
        assert!(
            together.1[0].starts_with("7 1 60 ") && together.1[1].starts_with("8 2 48 "),
            "{:?}",
            together.1
        );
        assert!(together.1[1].ends_with(&format!("{} U8", STEPS[1])), "{:?}", together.1);
    }
}

/// A part of an asynchronous lane over steps of two microbatches, of which so many are under way before it.
fn part(first: u64, steps: usize, before: u32, drawing: &str) -> Lane {
    let actions = drawing.split(' ').map(|action| action.parse().unwrap()).collect();
    Lane::part(first, vec![2; steps], before, actions).unwrap()
}

const PARTS: [&str; 2] = ["F7.0 F7.1 F8.0 E7.0 G7.0 F8.1 E7.1 G7.1 U7", "E8.0 G8.0 E8.1 G8.1 U8"];

/// The report of a step has its own actions and bytes, in whichever part they ran, and the state between two drains is never
/// saved.
#[test]
fn an_asynchronous_lane_is_its_parts_and_each_step_is_reported_by_itself() {
    let [mut parts, mut whole] = [Bench::new(false), Bench::new(false)];
    parts.follow(part(7, 2, 0, PARTS[0])).unwrap();
    parts.finish().unwrap();
    assert!(parts.stage.is_torn() && !parts.stage.owes(), "microbatches are under way");
    parts.follow(part(8, 1, 2, PARTS[1])).unwrap();
    parts.finish().unwrap();
    assert!(!parts.stage.is_torn(), "a drain");
    whole.follow(part(7, 2, 0, &PARTS.join(" "))).unwrap();
    let (parts, whole) = (parts.found(), whole.found());
    assert_eq!(parts, whole);
    assert!(parts.1[0].starts_with("7 1 60 ") && parts.1[0].ends_with("F7.0 F7.1 E7.0 G7.0 E7.1 G7.1 U7 U7"));
    assert!(parts.1[1].starts_with("8 2 48 ") && parts.1[1].ends_with("F8.0 F8.1 E8.0 G8.0 E8.1 G8.1 U8 U8"));
    let mut flushed = Bench::new(false);
    STEPS.iter().for_each(|step| flushed.run(step).unwrap());
    assert_ne!(flushed.found().0, whole.0, "E and G of step 8 saw newer weights");
}

#[test]
fn a_part_that_does_not_go_on_where_the_last_one_ended_is_refused() {
    let mut bench = Bench::new(false);
    let early = bench.follow(part(8, 1, 2, PARTS[1])).unwrap_err().sentence;
    assert!(early.ends_with("goes on with 2 microbatches under way, and this node has 0"), "{early}");
    bench.follow(part(7, 2, 0, PARTS[0])).unwrap();
    let again = bench.run(STEPS[1]).unwrap_err().sentence;
    assert!(again.ends_with("goes on with 0 microbatches under way, and this node has 2"), "{again}");
    bench.stage.abandon();
    assert!(bench.stage.is_torn(), "the state is given up");
}

/// Every G may come as late as the U, beside the E of all other microbatches.
#[test]
fn gradients_that_come_late_change_no_bit() {
    const LATE: [&str; 2] = ["F7.0 E7.0 F7.1 E7.1 G7.0 G7.1 U7", "F8.0 F8.1 E8.0 E8.1 G8.0 G8.1 U8"];
    for recompute in [false, true] {
        let [mut soon, mut late] = [Bench::new(recompute), Bench::new(recompute)];
        STEPS.iter().for_each(|step| soon.run(step).unwrap());
        LATE.iter().for_each(|step| late.run(step).unwrap());
        let (soon, late) = (soon.found(), late.found());
        assert_eq!((soon.0, soon.2), (late.0, late.2), "bits, and chains of what training consumed");
    }
}

/// B's part of U waits until it is read, and the report of the step waits for it.
#[test]
fn a_b_that_follows_late_changes_no_bit_and_its_step_is_reported_after_it() {
    let [mut at_once, mut late] = [Bench::new(false), Bench::new(false)];
    at_once.run(STEPS[0]).unwrap();
    at_once.finish().unwrap();
    late.run(STEPS[0]).unwrap();
    assert!(late.stage.owes() && late.stage.is_torn(), "the state belongs to no step");
    assert!(late.reports.is_empty() && late.open.is_some());
    let bits = |bench: &mut Bench| -> Vec<Bytes> {
        bench.stage.state().0.values().map(|tensor| crate::torch::lend(&tensor.copy()).unwrap()).collect()
    };
    assert_ne!(bits(&mut late), bits(&mut at_once));
    for bench in [&mut at_once, &mut late] {
        bench.run(STEPS[1]).unwrap();
    }
    assert_eq!(late.reports.len(), 1, "the first step was reported before the first E of the second");
    assert_eq!(late.found(), at_once.found());
}

/// A run that ends between the two parts of an update leaves the state as of that update.
#[test]
fn what_b_owes_is_made_good_when_a_run_ends() {
    let [mut whole, mut ended] = [Bench::new(false), Bench::new(false)];
    whole.run(STEPS[0]).unwrap();
    whole.finish().unwrap();
    ended.run(STEPS[0]).unwrap();
    ended.call.cancellation.fail(Failure::own("the neighbour went away"));
    assert_eq!(ended.run(STEPS[1]), Err(Failure::own("the neighbour went away")));
    assert_eq!(ended.finish(), Err(Failure::own("the neighbour went away")));
    assert!(ended.stage.is_torn());
    ended.stage.abandon();
    assert!(!ended.stage.is_torn());
    assert_eq!(ended.stage.updates(), whole.stage.updates());
    for (name, tensor) in ended.stage.state().0 {
        assert_eq!(*tensor, *whole.stage.state().0[&name], "{name}");
    }
}

/// A bench on a GPU whose copies complete late.
fn late(seed: u64, good: usize, recompute: bool) -> Bench {
    Bench::on(Box::new(Gpu::new(LateStreams::new(seed, good))), recompute)
}

#[test]
fn copies_that_complete_late_change_no_bit_and_no_order() {
    for (seed, recompute) in [(1, false), (2, false), (3, true)] {
        let [mut at_once, mut late] = [Bench::new(recompute), late(seed, usize::MAX, recompute)];
        at_once.run(&STEPS.join(" ")).unwrap();
        late.run(&STEPS.join(" ")).unwrap();
        assert_eq!(late.found(), at_once.found(), "bits, reports, and chains of what training consumed");
    }
}

#[test]
fn a_copy_that_fails_ends_the_run_with_its_reason() {
    // Two messages go up and two go down in each microbatch.
    for good in [0, 1, 3, 6, 7] {
        let mut bench = late(good as u64, good, false);
        let why = bench.run(&STEPS.join(" ")).unwrap_err().sentence;
        assert!(why.ends_with(fake::BROKEN), "after {good} copies: {why}");
        let Bench { call, context, .. } = &bench;
        call.cancellation.fail(Failure::own("the run has failed"));
        assert!(context.outbox.settle(&call.cancellation).is_err(), "nothing is on its way any more");
    }
}

#[test]
fn an_update_that_the_lane_does_not_know_of_is_found() {
    for recompute in [false, true] {
        let mut bench = Bench::new(recompute);
        let m = MicrobatchId { step: 7, index: 0 };
        let x = bench.device.upload(&message(m, "below", &[2, 4, 4]).tensors).unwrap();
        let outputs = bench.stage.forward(m, x, Phase::Train, &mut Whole).unwrap();
        bench.stage.update(&mut Whole).unwrap();
        let error = bench.stage.error(m, outputs, &mut Whole);
        assert_eq!(error.is_err(), recompute, "what a stage keeps is that of F; what it recomputes is not");
        if let Err(error) = error {
            let says = "step 7, microbatch 0 cannot be recomputed: its F saw the weights after 0 updates";
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }
    let mut bench = Bench::new(false);
    let lane = RunLane::of_one_step(lane_of(STEPS[0]), 5, Measure::Nothing);
    let (ring, context, flight) = bench.ring();
    let mut runner = LaneRunner::new(ring, Progress::new(&lane, context, flight));
    let m = MicrobatchId { step: 7, index: 0 };
    runner.forward(m).unwrap();
    runner.ring.stage.update(&mut Whole).unwrap();
    for refused in [runner.error(m), runner.gradient(m)] {
        let why = refused.unwrap_err().sentence;
        assert!(why.contains("7.0 is to see the weights that its F saw"), "{why}");
        assert!(why.ends_with("has made 1 updates, and F saw those after 0"), "{why}");
    }
}

fn lane_of(drawing: &str) -> Lane {
    let actions = drawing.split(' ').map(|action| action.parse().unwrap()).collect();
    Lane::new(Phase::Train, WeightVersion::OfForward, actions).unwrap()
}
