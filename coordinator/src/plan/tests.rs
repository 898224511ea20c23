//! Tests of plans: the counts, and the names of the contract.

use proto::host::Memory as MainMemory;
use proto::microbatch::MAX_MICROBATCHES;
use proto::spec::optimizer::Method;
use proto::spec::precision::Precision;
use proto::spec::rule::{Coefficients, RuleSpec};
use proto::tensor::Kind;
use serde_json::{Value as Json, json};

use super::*;
use crate::model::zoo::{Options, by_name};
use crate::partition::{Cuts, LinkSpeed, PROCESS_BYTES, cut};
use crate::pipeline::Schedule;

fn planned(options: Options, name: &str, cuts: &Cuts, workload: Workload) -> Result<Plan, PlanError> {
    let network = by_name(name, &options).unwrap();
    let estimator = Estimator::new(&network, workload)?;
    plan(&network, &cut(&network, cuts, &estimator, None)?, &estimator)
}

fn small() -> Options {
    Options { classes: 10, image: 32, ..Options::default() }
}

/// Counted by hand: 3×32×32 → flatten → fc1 (32) → relu1 │ fc2 (32) → relu2 │ fc3 (10), 8 samples in 4
/// microbatches.
#[test]
fn a_small_plan_is_what_one_counts_by_hand() {
    let rule = RuleSpec::learned("custom", true, Coefficients::default());
    let optimizer_backward = Method::Sgd { momentum: 0.0, nesterov: false };
    let workload = Workload { batch: 8, wire: Kind::Bf16, optimizer_backward, ..Workload::default() };
    let plan = planned(Options { width: 32, rule, ..small() }, "mlp", &Cuts::PerLayer, workload).unwrap();
    assert_eq!(plan.parameters, 3072 * 32 + 32 + 32 * 32 + 32 + 32 * 10 + 10);
    let counts = |s: &PlannedStage| (s.parameters, s.macs, s.bytes_forward, s.bytes_backward, s.held);
    assert_eq!(
        plan.stages.iter().map(counts).collect::<Vec<_>>(),
        [
            (3072 * 32 + 32, 3072 * 32, 64, 0, 4),
            (32 * 32 + 32, 32 * 32, 64, 64, 3),
            (32 * 10 + 10, 32 * 10, 20, 64, 2),
        ]
    );
    assert_eq!(plan.stages[1].layers, ["fc2", "relu2"]);
    // Value, gradient and momentum of W and its bias; value and gradient of B.
    let weights = 4 * (3 * (32 * 32 + 32) + 2 * 32 * 32);
    // 3 held microbatches of 2 samples: x and relu's y; x and the error take as much.
    let activations = 3 * 2 * 4 * (32 + 32);
    // fc2's y, which no layer keeps; a layer's x and y; one more gradient of W.
    let workspace = 2 * 4 * (32 + 32 + 32) + 4 * 32 * 32;
    // 2 messages of 2 samples: up and down, below and above, in bf16.
    let queues = 2 * 2 * 2 * (32 + 32 + 32 + 32);
    let kept = activations + workspace + queues + weights / 4;
    let memory = Memory { process: PROCESS_BYTES, weights, activations, workspace, queues, kept };
    assert_eq!((plan.stages[1].memory, plan.stages[1].memory_bytes), (memory, memory.total()));
}

#[test]
fn under_bf16_activations_take_half_the_bytes_and_w_and_b_have_a_copy() {
    let rule = RuleSpec::learned("custom", true, Coefficients::default());
    let optimizer_backward = Method::Sgd { momentum: 0.0, nesterov: false };
    let f32 = Workload { batch: 8, optimizer_backward, ..Workload::default() };
    let memory = |precision| {
        let (workload, options) =
            (Workload { precision, ..f32.clone() }, Options { width: 32, rule: rule.clone(), ..small() });
        planned(options, "mlp", &Cuts::PerLayer, workload).unwrap().stages[1].memory
    };
    let [f32, tf32, bf16] = [Precision::F32, Precision::Tf32, Precision::Bf16].map(memory);
    assert_eq!(f32, tf32);
    assert_eq!(bf16.weights, f32.weights + 2 * 2 * 32 * 32);
    assert_eq!(bf16.activations, f32.activations / 2);
    // Values take half; a gradient of W comes in bf16 and is summed in f32.
    assert_eq!(bf16.workspace, 2 * 2 * (32 + 32 + 32) + (4 + 2) * 32 * 32);
    assert_eq!(bf16.queues, f32.queues, "the links have a number format of their own");
}

/// The plan of the network of [`a_small_plan_is_what_one_counts_by_hand`] under `rule`, with every weight layer split.
fn halved(rule: RuleSpec, workload: Workload) -> Plan {
    halved_at(&Cuts::PerLayer, rule, workload)
}

/// As [`halved`], with other cuts.
fn halved_at(cuts: &Cuts, rule: RuleSpec, workload: Workload) -> Plan {
    let mut network = by_name("mlp", &Options { width: 32, rule, ..small() }).unwrap();
    network.layers.iter_mut().for_each(|layer| layer.split = layer.op.is_weight());
    let estimator = Estimator::new(&network, workload).unwrap();
    plan(&network, &cut(&network, cuts, &estimator, None).unwrap(), &estimator).unwrap()
}

#[test]
fn a_backward_node_is_what_one_counts_by_hand() {
    let rule = || RuleSpec::learned("custom", true, Coefficients::default());
    let optimizer_backward = Method::Sgd { momentum: 0.0, nesterov: false };
    let workload = Workload { batch: 8, wire: Kind::Bf16, optimizer_backward, ..Workload::default() };
    let plan = halved(rule(), workload.clone());
    let counts = |s: &PlannedStage| {
        let half = s.backward.as_ref().unwrap();
        (half.layers.join(" "), half.macs, half.round_trips, half.bytes_to, half.bytes_back)
    };
    // x and the error at y go out in bf16, and the error at x comes back, but for fc1, which is on the images.
    assert_eq!(
        plan.stages.iter().map(counts).collect::<Vec<_>>(),
        [
            ("fc1".into(), 3072 * 32, 0, 8 * 2 * (3072 + 32), 0),
            ("fc2".into(), 2 * 32 * 32, 1, 8 * 2 * (32 + 32), 8 * 2 * 32),
            ("fc3".into(), 2 * 32 * 10, 1, 8 * 2 * (32 + 10), 8 * 2 * 32),
        ]
    );
    // Value and gradient of B; x of 3 held microbatches of 2 samples, and the error at y of one.
    let (weights, activations) = (4 * 2 * 32 * 32, 2 * 4 * (3 * 32 + 32));
    let workspace = 2 * 4 * (32 + 32) + 4 * 32 * 32;
    // 2 messages of 2 samples each way, in bf16.
    let queues = 2 * 2 * (2 * 32 + 2 * 32);
    let kept = activations + workspace + queues + weights / 4;
    let memory = Memory { process: PROCESS_BYTES, weights, activations, workspace, queues, kept };
    let half = plan.stages[1].backward.as_ref().unwrap();
    assert_eq!((half.memory, half.memory_bytes), (memory, memory.total()));
    let together =
        planned(Options { width: 32, rule: rule(), ..small() }, "mlp", &Cuts::PerLayer, workload).unwrap();
    let [stage, whole] = [&plan, &together].map(|plan| plan.stages[1].memory);
    assert_eq!((whole.weights - stage.weights, stage.queues - whole.queues), (weights, queues));
}

#[test]
fn round_trips_take_time_and_the_plan_says_so() {
    let at = |cuts: &Cuts, link: &str, rule: &RuleSpec| {
        let rates = link.parse::<LinkSpeed>().unwrap().within(Rates::default());
        halved_at(cuts, rule.clone(), Workload { rates, ..Workload::default() })
    };
    let with = |link: &str, rule: &RuleSpec| at(&Cuts::PerLayer, link, rule);
    let feedback = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
    let plan = with("10Gbit/s,20ms", &feedback);
    let asking: Vec<f64> =
        plan.stages.iter().map(|stage| stage.backward.as_ref().unwrap().asking_s).collect();
    // Longer by the time of the messages alone, which grow windows of their connections first. No error comes back to
    // the images.
    assert!(
        asking[0] < 1e-9 && asking[1..].iter().all(|waits| (4.0 * 0.04..4.0 * 0.06).contains(waits)),
        "{asking:?}"
    );
    let near = with("10Gbit/s,0ms", &feedback);
    assert!(
        plan.step_seconds - near.step_seconds > 4.0 * 0.04,
        "{} {}",
        plan.step_seconds,
        near.step_seconds
    );
    let slow = with("10Mbit/s,0ms", &RuleSpec::learned("custom", true, Coefficients::default()));
    let said = slow.warnings.iter().find(|warning| warning.contains("to its backward node per step take"));
    assert!(said.is_some_and(|said| said.contains("MiB of layers' values")), "{:?}", slow.warnings);
    let long = at(&Cuts::Count(1), "10Gbit/s,1s", &feedback).warnings;
    assert!(long.iter().any(|said| said.contains("with 2 round trips per microbatch")), "{long:?}");
}

#[test]
fn backward_nodes_stand_in_the_json_and_below_the_table() {
    let rule = RuleSpec::learned("custom", true, Coefficients::default());
    let plan = halved(rule.clone(), Workload::default());
    let json = serde_json::to_value(&plan).unwrap();
    let half = json["stages"][1]["backward"].as_object().unwrap();
    for field in ["macs", "round_trips", "bytes_to", "bytes_back", "memory_bytes"] {
        assert!(half[field].is_u64(), "{field}");
    }
    for field in ["compute_s", "asking_s", "link_to_s", "link_back_s"] {
        assert!(half[field].is_number(), "{field}");
    }
    let text = table(&plan);
    let rows: Vec<&str> = text.lines().skip(4).take(5).collect();
    assert!(rows[1].starts_with("stage, backward  split layers") && rows[3].contains("fc2"), "{text}");
    assert!(rows[1..].iter().all(|row| row.chars().count() == rows[1].chars().count()), "{text}");
    let whole = planned(Options { width: 32, rule, ..small() }, "mlp", &Cuts::PerLayer, Workload::default());
    let whole = whole.unwrap();
    assert!(
        !table(&whole).contains("backward  split")
            && serde_json::to_value(whole).unwrap()["stages"][1].get("backward").is_none()
    );
}

#[test]
fn json_has_the_contracts_fields() {
    let plan = planned(small(), "resnet18", &Cuts::Count(2), Workload::default()).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["parameters"], json!(11_173_962));
    let lane = json!("F0 F1 F2 E0 G0 F3 E1 G1 E2 G2 E3 G3 U".split(' ').collect::<Vec<_>>());
    assert_eq!(json["lanes"][0], lane);
    assert!(json["bubble"].as_f64().is_some_and(|bubble| bubble > 0.0 && bubble < 1.0));
    let stage = json["stages"][1].as_object().unwrap();
    for field in ["stage", "parameters", "macs", "bytes_forward", "bytes_backward", "held", "memory_bytes"] {
        assert!(stage[field].is_u64(), "{field}");
    }
    assert!(stage["layers"].as_array().is_some_and(|layers| layers.iter().all(Json::is_string)));
    assert_eq!((&stage["stage"], &stage["bytes_forward"]), (&json!(1), &json!(40)));
    assert_eq!(json["rates"]["link"], "10 Gbit/s");
}

/// A host's messages share its link, and every message waits for the latency.
#[test]
fn slow_and_long_links_take_time() {
    let pace = |link: &str| {
        let rates = link.parse::<LinkSpeed>().unwrap().within(Rates::default());
        let workload = Workload { microbatches: 4, rates, ..Workload::default() };
        let cuts = Cuts::At(vec!["layer1.0.conv2".into(), "layer2.0.conv1".into()]);
        planned(small(), "resnet18", &cuts, workload).unwrap().step_seconds
    };
    // Stage 1 sends 64 MiB down and 32 MiB up, and receives as much.
    let bytes = f64::from(96 << 20) * 1514.0 / 1448.0;
    let slow = pace("10Mbit/s,0ms") / (bytes / 1.25e6);
    assert!((1.0..1.5).contains(&slow), "{slow}");
    let [near, far] = ["10Gbit/s,0ms", "10Gbit/s,100ms"].map(pace);
    // A step waits at least for the way up of its first microbatch and for the way down of its last one.
    assert!(far - near > 6.0 * 0.1, "{near} {far}");
}

/// Each drain fills the pipeline anew: after every step asynchrony is no faster than 1F1B, and drains that are far apart
/// cost little.
#[test]
fn drains_of_an_asynchronous_pipeline_take_time() {
    let step = |schedule, between_drains| {
        let workload = Workload { schedule, between_drains, ..Workload::default() };
        planned(small(), "resnet18", &Cuts::PerBlock, workload).unwrap().step_seconds
    };
    let free = step(Schedule::Asynchronous, 0);
    let drained = [1, 2, 5, 50, 5000].map(|between| step(Schedule::Asynchronous, between));
    assert!(drained.is_sorted_by(|a, b| a > b) && drained[4] > free, "{drained:?} {free}");
    assert!(drained[0] >= step(Schedule::OneFOneB, 1) && drained[4] < 1.01 * free, "{drained:?} {free}");
}

/// gpipe holds all M; recomputation trades the held activations for a second forward.
#[test]
fn schedule_and_recomputation_move_memory_and_time() {
    let with = |schedule, recompute| {
        let workload = Workload { microbatches: 16, schedule, recompute, ..Workload::default() };
        planned(small(), "resnet18", &Cuts::PerBlock, workload).unwrap().stages.swap_remove(8)
    };
    let [gpipe, one] = [Schedule::Gpipe, Schedule::OneFOneB].map(|schedule| with(schedule, false));
    assert_eq!((gpipe.held, one.held), (16, 3));
    assert_eq!(gpipe.memory.activations * 3, one.memory.activations * 16);
    let again = with(Schedule::Gpipe, true);
    assert!(again.memory.activations < gpipe.memory.activations / 2);
    assert!(again.compute_s > 1.2 * gpipe.compute_s && again.compute_s < 1.5 * gpipe.compute_s);
}

/// Under zero_bubble a stage near the top holds as much as stage 0, most of it errors; recomputation saves none of these.
#[test]
fn gradients_that_are_put_off_cost_memory_and_save_time() {
    let with = |schedule, recompute| {
        let workload = Workload { microbatches: 16, schedule, recompute, ..Workload::default() };
        planned(small(), "resnet18", &Cuts::PerBlock, workload).unwrap()
    };
    for recompute in [false, true] {
        let [one, zero] =
            [Schedule::OneFOneB, Schedule::ZeroBubble].map(|schedule| with(schedule, recompute));
        assert_eq!((one.stages[8].held, zero.stages[8].held), (3, 11));
        assert_eq!(one.stages[0].memory, zero.stages[0].memory);
        let of = |plan: &Plan| plan.stages[8].memory.activations;
        assert!(of(&zero) > 2 * of(&one), "{} {}", of(&zero), of(&one));
        assert!(zero.step_seconds < one.step_seconds && zero.bubble < one.bubble);
        let told = |plan: &Plan| -> Vec<_> {
            plan.schedules.iter().map(|one| (one.schedule.clone(), one.step_seconds)).collect()
        };
        let (first, other) = (told(&one), told(&zero));
        assert_eq!(first[0], ("one_f_one_b".into(), one.step_seconds), "the configured one comes first");
        assert!(first.iter().all(|schedule| other.contains(schedule)), "{first:?} {other:?}");
    }
}

/// The sentence names a schedule only for what it saves, and among equally fast ones the leanest.
#[test]
fn one_sentence_says_which_schedule_pays() {
    let one = |schedule: &str, step_seconds, memory_bytes| PlannedSchedule {
        schedule: schedule.into(),
        step_seconds,
        images_per_s: 128.0 / step_seconds,
        bubble: 0.0,
        memory_bytes,
    };
    let [gpipe, f_b] = [one("gpipe", 2.0, 400 << 20), one("one_f_one_b", 2.0, 300 << 20)];
    let zero = one("zero_bubble", 1.6, 350 << 20);
    let said = |schedules: &[&PlannedSchedule]| {
        schedules::advice(&schedules.iter().map(|&one| one.clone()).collect::<Vec<_>>(), 1.25)
    };
    assert_eq!(
        said(&[&f_b, &gpipe, &zero]),
        "pipeline.schedule = \"zero_bubble\" pays: it is 25.0 % faster than one_f_one_b, with 350.0 MiB instead of \
         300.0 MiB in the largest node"
    );
    assert_eq!(
        said(&[&gpipe, &f_b]),
        "pipeline.schedule = \"one_f_one_b\" pays: it is as fast as gpipe, with 300.0 MiB instead of 400.0 MiB in the \
         largest node"
    );
    let here = "no schedule pays more than zero_bubble: a step takes 1.600 s with it, and the largest node 350.0 MiB \
                (gpipe 2.000 s and 400.0 MiB, one_f_one_b 2.000 s and 300.0 MiB)";
    assert_eq!(said(&[&zero, &gpipe, &f_b]), here);

    let [free, slow] = [one("asynchronous", 1.28, 300 << 20), one("asynchronous", 1.6, 300 << 20)];
    let pays = "asynchrony pays 25.0 %: 100.0 images/s under \"asynchronous\" and 80.0 under \"zero_bubble\", for delays of \
                up to 1.25 updates, by which the numbers of the run differ";
    assert_eq!(said(&[&zero, &gpipe, &f_b, &free]), format!("{here}\n{pays}"));
    assert_eq!(said(&[&free, &zero, &gpipe, &f_b]), pays, "the configured one is not flushed");
    let not = "asynchrony does not pay: 80.0 images/s under \"asynchronous\" and 80.0 under \"zero_bubble\", which changes \
               no number of the run";
    assert_eq!(said(&[&slow, &zero]), not);
}

#[test]
fn what_a_person_should_know_is_said() {
    let link = |link: &str| Rates { link: link.parse().unwrap(), ..Rates::default() };
    let cuts = Cuts::At(vec!["layer1.0.conv2".into()]);
    let slow = Workload { rates: link("10Mbit/s"), ..Workload::default() };
    let warnings = planned(small(), "resnet18", &cuts, slow).unwrap().warnings;
    // 128 samples of two values of 64×32×32, in f32; TCP and Ethernet add 66 bytes to every 1448.
    let first = "the link of stage 0 is the bottleneck: 64.0 MiB of activations to stage 1 per step take 56.134 s at \
                 10 Mbit/s";
    assert!(warnings[0].starts_with(first), "{warnings:?}");
    let second = "the link of stage 1 is the bottleneck: 0.0 MiB of activations to the coordinator and 64.0 MiB of \
                  errors to stage 0 per step take 56.138 s";
    assert!(warnings[1].starts_with(second), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.starts_with("stage 1 computes")), "{warnings:?}");
    let fast = Workload { microbatches: 16, rates: link("10Gbit/s"), ..Workload::default() };
    assert_eq!(planned(small(), "resnet18", &Cuts::Count(3), fast).unwrap().warnings, [""; 0]);
}

/// 32 pixels under ImageNet's stem leave single pixels to layer4's norms.
#[test]
fn a_norm_over_one_value_is_refused() {
    let tiny = Options { stem: crate::model::zoo::Stem::ImageNet, ..small() };
    let workload = |batch, microbatches| Workload { batch, microbatches, ..Workload::default() };
    let refusal = planned(tiny.clone(), "resnet18", &Cuts::Count(1), workload(7, 4)).unwrap_err().to_string();
    assert!(refusal.starts_with("layer 'layer4.0.bn1' would normalise one value per channel"), "{refusal}");
    assert!(planned(tiny, "resnet18", &Cuts::Count(1), workload(8, 4)).is_ok());
    let refusal = planned(small(), "resnet18", &Cuts::Count(1), workload(3, 4)).unwrap_err().to_string();
    assert_eq!(refusal, "a minibatch of 3 samples cannot be cut into 4 microbatches");
}

#[test]
fn the_table_is_aligned_and_clipped() {
    let workload =
        Workload { batch: MAX_MICROBATCHES * 2, microbatches: MAX_MICROBATCHES, ..Workload::default() };
    let text = table(&planned(small(), "resnet18", &Cuts::PerLayer, workload).unwrap());
    let rows: Vec<&str> = text.lines().take(22).collect();
    assert!(rows.iter().all(|row| row.chars().count() == rows[0].chars().count()), "{text}");
    assert!(rows[0].starts_with("stage  layers"), "{text}");
    assert!(rows[1].contains("conv1 … relu (3)"), "{text}");
    assert!(text.contains("11.2 M parameters, 555.4 MMACs per sample forward"), "{text}");
    let lanes: Vec<&str> =
        text.lines().filter(|line| line.starts_with('s') && line.ends_with("… U")).collect();
    assert_eq!(lanes.len(), 11, "{text}");
    assert!(lanes.iter().all(|lane| lane.chars().count() <= 110), "{text}");
}

#[test]
fn memory_that_does_not_suffice_is_said() {
    let network = by_name("mlp", &Options { width: 32, ..small() }).unwrap();
    let estimator = Estimator::new(&network, Workload { batch: 8, ..Workload::default() }).unwrap();
    let ranges = cut(&network, &Cuts::PerLayer, &estimator, None).unwrap();
    let needs = |local| Needs::of(&network, &ranges, &estimator, local).unwrap();
    let all: u64 = plan(&network, &ranges, &estimator).unwrap().stages.iter().map(|s| s.memory_bytes).sum();
    // Five microbatches of two samples, in f32.
    let inputs = 5 * 2 * 4 * 3 * 32 * 32;
    assert_eq!((needs(true), needs(false)), (Needs { inputs, nodes: all }, Needs { inputs, nodes: 0 }));
    let memory = |available| MainMemory { total: available, available, bound: "the limit of X".into() };
    assert_eq!(needs(true).shortage(&memory(inputs + all)), None);
    let said = needs(true).shortage(&memory(inputs + all - 1)).unwrap();
    assert!(said.contains("are free in the limit of X: the kernel may kill it"), "{said}");
    assert_eq!(needs(false).shortage(&memory(inputs)), None);

    let mut split = network.clone();
    for layer in split.layers.iter_mut().filter(|layer| layer.op.is_weight()) {
        layer.rule = RuleSpec::learned("feedback_alignment", false, Coefficients::default());
        layer.split = true;
    }
    let estimator_of_halves = Estimator::new(&split, Workload { batch: 8, ..Workload::default() }).unwrap();
    let planned = plan(&split, &ranges, &estimator_of_halves).unwrap();
    let [stages, halves]: [u64; 2] = [
        planned.stages.iter().map(|stage| stage.memory_bytes).sum(),
        planned.stages.iter().map(|stage| stage.backward.as_ref().unwrap().memory_bytes).sum(),
    ];
    let of_halves = Needs::of(&split, &ranges, &estimator_of_halves, true).unwrap();
    assert!(halves > 0);
    assert_eq!(of_halves, Needs { inputs, nodes: stages + halves }, "backward nodes count as well");

    let host = Host { cores: 1, memory_total: 3 << 30, memory_available: 1 << 30, memory_bound: "it".into() };
    let text = table(&plan(&network, &ranges, &estimator).unwrap().on(Some(host)));
    assert!(text.contains("; here are 1 core, and 1.0 GiB of memory are free in it\n"), "{text}");
}
