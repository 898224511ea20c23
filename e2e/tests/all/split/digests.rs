//! Tests that the placement of W and B changes no bit: every rule that reads no W trains to the same weights and losses on
//! one host and on two, cut into one stage and into five.

use super::{snapshots, tensors};
use e2e::{Bench, Run};
use std::collections::BTreeMap;

/// Three steps of three microbatches, and an evaluation.
const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
max_steps = 3
[optimizer]
lr = 0.05
[pipeline]
microbatches = 3
stages = 1
"#;
/// The weight layers of the network, whose skip spans a cut.
const LAYERS: [&str; 5] = ["stem", "branch1", "branch2", "down", "classes"];
const SPLIT: &str = "pipeline.placement=split";
const GPIPE: &str = "pipeline.schedule=gpipe";
const ZERO_BUBBLE: &str = "pipeline.schedule=zero_bubble";

/// Every rule that reads no W, with options that change what crosses to the host of B; the keys of the two splits follow.
const RULES: [(&[&str], &[&str]); 8] = [
    (&["rule.name=feedback_alignment"], &[SPLIT, GPIPE]),
    (
        &["rule.name=weight_mirror", "rule.mirror_delay=30", "rule.noise=uniform", "rule.noise_batch=7"],
        &[SPLIT, ZERO_BUBBLE],
    ),
    (&["rule.name=information_alignment", "rule.centering=sample"], &[SPLIT, GPIPE]),
    (
        &[
            "rule.name=activation_alignment",
            "rule.activation=relu",
            "rule.centering=batch",
            "optimizer_b.name=adam",
            "optimizer_b.lr=0.001",
        ],
        &[SPLIT],
    ),
    (
        &["rule.name=kolen_pollack", "rule.update_noise=0.01"],
        &[SPLIT, "pipeline.recompute=true", ZERO_BUBBLE],
    ),
    (
        &[
            "rule.name=product_feedback_alignment",
            "rule.layers.branch2.ratio=1.5",
            "optimizer.weight_decay_schedule=cosine",
        ],
        &[SPLIT, ZERO_BUBBLE],
    ),
    (
        &[
            "rule.name=custom",
            "rule.amp=0.0003",
            "rule.null=0.0001",
            "rule.sparse=0.0002",
            "rule.decay=0.02",
            "rule.task=true",
            "rule.centering=sample",
            "rule.activation=tanh",
        ],
        &[SPLIT, GPIPE],
    ),
    (&["rule.name=kolen_pollack"], &["pipeline.placement=[\"branch1\", \"classes\"]"]),
];

#[test]
fn every_rule_that_reads_no_w_ends_in_the_bits_of_one_host() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    for (number, (rule, split)) in RULES.into_iter().enumerate() {
        let together = bench.trained(&config, &format!("{number}-together"), rule);
        for (name, cut) in [("one", "pipeline.stages=1"), ("five", "pipeline.stages=per_layer")] {
            let run = bench.trained(&config, &format!("{number}-{name}"), &[rule, split, &[cut]].concat());
            assert_eq!(run.history(), together.history(), "{rule:?}, {name}: loss history");
            assert_eq!(run.digests(), together.digests(), "{rule:?}, {name}: digests");
            let named: Vec<&str> = LAYERS.into_iter().filter(|layer| is_split(split[0], layer)).collect();
            no_process_has_both(&run, &named);
            no_angle_is_shown(&run, &named);
        }
    }
}

/// Whether the placement splits a layer.
fn is_split(placement: &str, layer: &str) -> bool {
    placement == SPLIT || placement.contains(&format!("\"{layer}\""))
}

/// The names of a layer's backward weights, without the layer's own.
const OF_B: [&str; 2] = [".weight_backward", ".feedback"];

/// Opens the state of all processes: stages have W and no B of the layers `split`, and backward nodes have their B, the
/// state of its optimizer, and nothing else.
fn no_process_has_both(run: &Run, split: &[&str]) {
    let (mut forward, mut backward) = (BTreeMap::new(), BTreeMap::new());
    for folder in std::fs::read_dir(run.folder.join("state")).unwrap().flatten() {
        let is_backward = folder.file_name().to_str().unwrap().ends_with("-backward");
        let half = if is_backward { &mut backward } else { &mut forward };
        half.extend(tensors(snapshots(&folder.path()).last().expect("a snapshot")));
    }
    for layer in LAYERS {
        let b = OF_B.map(|of| format!("{layer}{of}"));
        let is_b = |name: &String| b.iter().any(|b| name.starts_with(b));
        let of_b = |half: &BTreeMap<String, Vec<u8>>| half.keys().filter(|name| is_b(name)).count();
        let is_split = split.contains(&layer);
        assert_eq!((of_b(&forward) > 0, of_b(&backward) > 0), (!is_split, is_split), "B of {layer}");
        assert!(forward.contains_key(&format!("{layer}.weight")), "W of {layer}");
    }
    for (name, bytes) in &backward {
        let layer = OF_B.iter().find_map(|of| Some(name.split_once(of)?.0));
        assert!(layer.is_some_and(|layer| split.contains(&layer)), "a host of B has {name}");
        let same = forward.iter().find(|(_, other)| *other == bytes).map(|(other, _)| other);
        assert_eq!(same, None, "the same numbers as {name}");
    }
}

/// No process can compare W with B, and the summary says so of each layer `split`.
fn no_angle_is_shown(run: &Run, split: &[&str]) {
    let summary = run.summary();
    let layers =
        summary["nodes"].as_array().unwrap().iter().flat_map(|node| node["layers"].as_array()).flatten();
    let mut seen = 0;
    for layer in layers.filter(|layer| split.contains(&layer["name"].as_str().unwrap())) {
        assert!(layer["angle_deg"].is_null() && layer["no_angle"].is_string(), "{layer}");
        seen += 1;
    }
    assert_eq!(seen, 2 * split.len(), "in the rows of both halves: {summary}");
}
