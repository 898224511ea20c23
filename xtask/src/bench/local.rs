//! Benches that train the same network on local nodes in several ways, by turns: rules, cuts, number formats.

use super::case::{Case, DEMO, RESNET};
use super::turns::{Contender, in_turn};
use super::{Bounds, Options, Row, turns};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, say};
use std::fs;

/// A way to train: its name, its floor and goal beside the first way, and the settings that make it.
type Way = (&'static str, Bounds, &'static [&'static str]);

/// The demo's network in five stages.
const FIVE: Case = Case {
    name: "the demo's network, 5 stages",
    settings: &["data.kind=idx", "pipeline.stages=per_layer"],
    ..DEMO
};

/// Backprop, and the rules with the coefficients of examples/rules.toml.
const RULES: [Way; 6] = [
    ("backprop", (0.0, 1.0), &["rule.name=backprop"]),
    (
        "symmetric alignment",
        (0.97, 1.0),
        &["rule.name=symmetric_alignment", "rule.self=0.04", "rule.decay=0.02"],
    ),
    ("Kolen-Pollack", (0.97, 1.0), &["rule.name=kolen_pollack", "optimizer.weight_decay=5e-4"]),
    (
        "weight mirror",
        (0.9, 0.95),
        &[
            "rule.name=weight_mirror",
            "rule.amp=5e-4",
            "rule.decay=0.05",
            "rule.layers.conv1.amp=1.3e-4",
            "rule.layers.conv4.amp=0.002",
            "rule.layers.classes.amp=0.01",
            "rule.layers.classes.decay=0.005",
            "rule.layers.classes.noise_batch=128",
        ],
    ),
    (
        "activation alignment",
        (0.72, 0.8),
        &[
            "rule.name=activation_alignment",
            "rule.centering=batch",
            "rule.amp=0.001",
            "rule.sparse=5e-4",
            "rule.layers.classes.input=noise",
            "rule.layers.classes.noise_batch=512",
            "rule.layers.classes.amp=0.02",
            "rule.layers.classes.sparse=0.01",
        ],
    ),
    (
        "information alignment",
        (0.65, 0.72),
        &[
            "rule.name=information_alignment",
            "rule.centering=batch",
            "rule.amp=0.002",
            "rule.null=0.001",
            "rule.decay=0.1",
            "optimizer_b.name=adam",
            "optimizer_b.lr=0.005",
        ],
    ),
];

/// ResNet-18, a fourth as wide as usual.
const NARROW: Case = Case {
    name: "ResNet-18 of width 16",
    steps: 30,
    settings: &["data.kind=cifar10", "model.name=resnet18", "model.width=16"],
    ..RESNET
};

const CUTS: [Way; 4] = [
    ("2 nodes", (0.0, 1.0), &["pipeline.stages=2"]),
    ("5 nodes", (0.0, 1.0), &["pipeline.stages=5"]),
    ("10 nodes", (0.0, 1.0), &["pipeline.stages=10"]),
    ("21 nodes", (0.7, 0.85), &["pipeline.stages=per_layer"]),
];

/// Floor and goal of bf16 where the CPU multiplies it.
const BF16: Bounds = (1.5, 1.9);
/// The flags of a CPU that multiplies bf16.
const MULTIPLIES: [&str; 2] = ["avx512_bf16", "amx_bf16"];

/// The speed of each rule beside backprop's.
pub fn rules(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    by_ways(root, options, "rules", &FIVE, &RULES)
}

/// The speed of many nodes on two cores beside that of two nodes.
pub fn cuts(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    by_ways(root, options, "cuts", &NARROW, &CUTS)
}

/// The speed in bf16, computed and sent, beside that in f32.
pub fn precision(root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let multiplies = MULTIPLIES.iter().any(|flag| text.split_whitespace().any(|word| word == *flag));
    if !multiplies {
        say("this CPU has no instruction for products in bf16, so the ratio has no floor here");
    }
    let bounds = if multiplies { BF16 } else { (0.0, BF16.1) };
    let ways: [Way; 2] = [
        ("f32", (0.0, 1.0), &["node.precision=f32", "network.wire=f32"]),
        ("bf16", bounds, &["node.precision=bf16", "network.wire=bf16"]),
    ];
    by_ways(root, options, "precision", &RESNET, &ways)
}

/// Trains `case` in every way by turns, and compares each way with the first.
fn by_ways(
    root: &Root,
    options: &Options,
    bench: &'static str,
    case: &Case,
    ways: &[Way],
) -> Result<Vec<Row>, Failure> {
    let programs = &release::programs(root, Profile::Release)?;
    let folder = &programs.join(format!("bench-{bench}"));
    let case = &case.shorter(options.is_short);
    case.make_data(folder)?;
    let contender = |&(name, bounds, settings): &Way| Contender {
        name,
        bounds,
        measure: Box::new(move || case.train(root, programs, folder, settings)),
    };
    let contenders: Vec<_> = ways.iter().map(contender).collect();
    let measured = in_turn(case.name, options.rounds, &contenders)?;
    let [first, others @ ..] = &measured[..] else { return Ok(Vec::new()) };
    let row = |(&(name, bounds, _), numbers): (&Way, &Vec<f64>)| {
        let compared = format!("{}, {name}: {}", case.name, ways[0].0);
        turns::rates(bench, compared, numbers, first, bounds)
    };
    let rows = ways[1..].iter().zip(others).map(row).collect();
    _ = fs::remove_dir_all(folder);
    Ok(rows)
}
