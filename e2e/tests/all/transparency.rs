//! The acceptance test of the whole program: one process and n processes train the same network.

use e2e::Bench;
use std::collections::BTreeMap;

const KEYS: &str = r#"
[train]
epochs = 2
batch = 32
label_smoothing = 0.1
[optimizer]
lr = 0.05
schedule = "cosine"
[pipeline]
microbatches = 3
stages = 1
[snapshot]
every_steps = 4
"#;

/// The digest and the loss history are the same for every cut of the network.
#[test]
fn the_network_is_the_same_however_it_is_cut_and_whatever_the_schedule() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let rule = [
        "rule.name=custom",
        "rule.amp=0.0003",
        "rule.null=0.0001",
        "rule.sparse=0.0002",
        "rule.self=0.04",
        "rule.decay=0.02",
    ];
    let run = |name: &str, stages: &str, schedule: &str| {
        let (stages, schedule) =
            (format!("pipeline.stages={stages}"), format!("pipeline.schedule={schedule}"));
        bench.trained(&config, name, &[&rule[..], &[&stages, &schedule]].concat())
    };
    let whole = run("whole", "1", "gpipe");
    let (digests, history) = (whole.digests(), whole.history());
    assert_eq!(digests.len(), 5 * 4 + 2 * 6 + 2 * 2, "W, B and their momenta; norms; biases: {digests:?}");
    assert_eq!(whole.metrics().len(), 10);
    let cuts = [
        ("1", 1),
        ("2", 2),
        ("[\"branch2\", \"down\"]", 3),
        ("per_layer", 5),
        ("[\"branch1_relu\", \"sum\", \"pool\"]", 4),
    ];
    for (stages, count) in cuts {
        for schedule in ["gpipe", "one_f_one_b", "zero_bubble"] {
            let name = format!("cut-{count}-{schedule}");
            let cut = run(&name, stages, schedule);
            assert_eq!(cut.summary()["stages"], count, "{name}");
            assert_eq!(cut.history(), history, "{name}: loss history");
            assert_eq!(cut.digests(), digests, "{name}: digests");
        }
    }
    for (stages, count) in [("1", 1), ("per_layer", 5)] {
        let pair = [format!("pipeline.stages={stages}"), "pipeline.recompute=true".into()];
        let name = format!("again-{count}");
        let again =
            bench.trained(&config, &name, &[&rule[..], &pair.each_ref().map(String::as_str)].concat());
        assert_eq!(again.history(), history, "{name}: loss history");
        assert_eq!(again.digests(), digests, "{name}: digests");
    }
}

/// Every rule, and every option of a rule, each with the other keys that it needs. An epoch has five steps, so that
/// the boundaries, which are in epochs, lie before the third and the fourth step.
const RULES: &[(&str, &[&str])] = &[
    ("backprop", &[]),
    ("feedback_alignment", &[]),
    ("symmetric_alignment", &["rule.schedule=cosine", "rule.warmup_epochs=0.5"]),
    (
        "kolen_pollack",
        &["rule.update_noise=0.01", "optimizer.schedule=step", "optimizer.boundaries=[0.4, 0.6]"],
    ),
    (
        "kolen_pollack",
        &[
            "optimizer.weight_decay=0.05",
            "optimizer.weight_decay_schedule=step",
            "optimizer.weight_decay_boundaries=[0.4, 0.6]",
        ],
    ),
    (
        "product_feedback_alignment",
        &["optimizer.weight_decay=0.05", "optimizer.weight_decay_schedule=cosine"],
    ),
    ("product_feedback_alignment", &["rule.ratio=1.5", "optimizer.weight_decay_warmup_epochs=0.5"]),
    ("weight_mirror", &["rule.mirror_delay=30", "rule.noise=uniform"]),
    (
        "weight_mirror",
        &["rule.noise_sigma=0.5", "rule.noise_batch=7", "optimizer_b.name=adam", "optimizer_b.lr=0.001"],
    ),
    ("weight_mirror", &["rule.input=activation"]),
    ("information_alignment", &["rule.centering=sample"]),
    ("information_alignment", &["rule.input=noise", "rule.mirror_every=2", "rule.update_noise=0.01"]),
    ("activation_alignment", &["rule.activation=relu", "optimizer_b.name=adam", "optimizer_b.lr=0.001"]),
    (
        "activation_alignment",
        &["rule.centering=batch", "rule.activation=tanh", "rule.schedule=step", "rule.boundaries=[0.4]"],
    ),
    ("custom", &["rule.amp=0.001", "rule.decay=0.01", "rule.task=true"]),
    ("sign_symmetry", &["rule.magnitude=uniform"]),
    ("sign_symmetry", &["rule.magnitude=redrawn"]),
    ("sign_symmetry", &["rule.magnitude=fixed"]),
];

#[test]
fn every_rule_and_option_is_the_same_in_one_process_and_in_five() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for (number, (rule, options)) in RULES.iter().enumerate() {
        let named = format!("rule.name={rule}");
        let keys = [&[named.as_str(), "train.max_steps=4"], *options].concat();
        let run = |name: &str, cut: &[&str]| {
            bench.trained(&config, &format!("{number}-{name}"), &[&keys[..], cut].concat())
        };
        let one = run("one", &["pipeline.stages=1"]);
        let five = run("five", &["pipeline.stages=per_layer", "pipeline.schedule=zero_bubble"]);
        assert_eq!(one.history(), five.history(), "{keys:?}: loss history");
        assert_eq!(one.digests(), five.digests(), "{keys:?}: digests");
        let stored = one.digests().keys().any(|name| name.contains("weight_backward"));
        assert_eq!(stored, *rule != "backprop", "{keys:?}: B is stored unless it is W itself");
    }
}

/// With a learning rate of 0 for W, only the rule changes tensors, and the rule may change only B.
#[test]
fn what_trains_b_never_touches_w() {
    let bench = Bench::new();
    let config = bench.config(&format!("{KEYS}[optimizer_b]\nlr = 0.05\n"));
    let run = |rule: &str| {
        let named = format!("rule.name={rule}");
        bench.trained(&config, rule, &[&named, "optimizer.lr=0", "train.max_steps=4", "pipeline.stages=2"])
    };
    let digests = |rule: &str| {
        let moves = |name: &str| name.ends_with("momentum");
        let (b, rest) = run(rule)
            .digests()
            .into_iter()
            .filter(|(name, _)| !moves(name))
            .partition::<BTreeMap<_, _>, _>(|(name, _)| name.contains("weight_backward"));
        (b, rest)
    };
    let (b, rest) = digests("feedback_alignment");
    for rule in ["symmetric_alignment", "weight_mirror", "information_alignment", "activation_alignment"] {
        let (moved, still) = digests(rule);
        assert_eq!(still, rest, "{rule}: W, biases, norms and their statistics");
        assert!(moved.iter().all(|(name, digest)| b[name] != *digest), "{rule}: every B has moved");
    }
}

#[test]
fn adam_and_layers_with_rules_of_their_own_are_the_same_too() {
    let bench = Bench::new();
    let keys = format!(
        "{KEYS}\n[rule]\nname = \"symmetric_alignment\"\n[rule.layers.branch1]\nname = \"feedback_alignment\"\n[optimizer_b]\nname = \"sgd\"\n"
    );
    let config = bench.config(&keys.replace("lr = 0.05", "name = \"adam\"\nlr = 0.005"));
    let run = |stages: &str| bench.trained(&config, stages, &[&format!("pipeline.stages={stages}")]);
    let (one, five) = (run("1"), run("per_layer"));
    assert_eq!(one.history(), five.history());
    assert_eq!(one.digests(), five.digests());
}
