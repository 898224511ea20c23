//! Tests of locality: rules that do not read W compute the same tensors when W is overwritten with NaN.

use crate::common::{
    self, NORM, bits, build, conv, finite, id, layer, linear, nesterov, random_f32, under, value, window,
};
use layer_node::stage::{Stage, Values, Whole};
use proto::microbatch::Phase;
use proto::spec::graph::Op;
use proto::spec::optimizer::{OptimizerSpec, Schedule};
use proto::spec::rule::{Coefficients, Primitive, Product, RuleSpec};
use proto::spec::stage::StageSpec;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

const SIZES: [i64; 3] = [4, 1, 3];
const N: u32 = 8;

/// A rule of the paper with the coefficients of its code, or all primitives at once.
fn rule(name: &str) -> RuleSpec {
    let none = Coefficients::default();
    let (task, coefficients) = match name {
        "backprop" => return RuleSpec::Backprop,
        "product_feedback_alignment" => {
            return RuleSpec::Product(Product { ratio: 1.5, decay: 1e-2, schedule: Schedule::default() });
        }
        "feedback_alignment" => (false, none),
        "kolen_pollack" => (true, Coefficients::new(&[(Primitive::Decay, 1e-2)])),
        "weight_mirror" => (false, Coefficients::new(&[(Primitive::Amp, 1e-3), (Primitive::Decay, 1e-3)])),
        "information_alignment" => (
            false,
            Coefficients::new(&[(Primitive::Amp, 2e-3), (Primitive::Null, 1e-3), (Primitive::Decay, 1e-3)]),
        ),
        "activation_alignment" => {
            (false, Coefficients::new(&[(Primitive::Amp, 2e-3), (Primitive::Sparse, 1e-3)]))
        }
        "symmetric_alignment" => {
            (false, Coefficients::new(&[(Primitive::Self_, 2e-3), (Primitive::Decay, 1e-3)]))
        }
        "all" => (
            true,
            Coefficients::new(&[
                (Primitive::Amp, 2e-3),
                (Primitive::Null, 1e-3),
                (Primitive::Sparse, 1e-3),
                (Primitive::Self_, 2e-3),
                (Primitive::Decay, 1e-3),
            ]),
        ),
        other => panic!("no rule {other}"),
    };
    RuleSpec::learned(name, task, coefficients)
}

const LOCAL: [&str; 6] = [
    "feedback_alignment",
    "kolen_pollack",
    "product_feedback_alignment",
    "weight_mirror",
    "information_alignment",
    "activation_alignment",
];

/// Convolutions, one of them 1×1, and a dense layer, on values named `x`.
fn stage(rule_name: &str, weight_decay: f64) -> Stage {
    let layers = vec![
        layer("conv1", "x", conv(8, 3, 1, 1, true)),
        layer("norm", "conv1", NORM),
        layer("relu", "norm", Op::Relu),
        layer("conv2", "relu", conv(16, 1, 1, 0, true)),
        layer("pool", "conv2", Op::MaxPool(window(2, 2, 0))),
        layer("flat", "pool", Op::Flatten),
        layer("head", "flat", linear(5, true)),
    ];
    let optimizer = nesterov(0.1, weight_decay);
    let spec = StageSpec {
        optimizer_backward: OptimizerSpec { weight_decay: 0.0, ..optimizer.clone() },
        optimizer,
        seed: 1,
        ..StageSpec::alone(under(&rule(rule_name), layers), vec![value("x", &[3, 6, 6])])
    };
    build(&spec, Kind::Float)
}

fn forward(stage: &mut Stage) {
    for (m, size) in SIZES.into_iter().enumerate() {
        let inputs = vec![("x".to_owned(), random_f32(&format!("x{m}"), &[size, 3, 6, 6]))];
        stage.forward(id(m as u32), inputs, Phase::Train, &mut Whole).unwrap();
    }
}

/// Runs E, G and U, and returns the error signals at x for the error at the output times `scale`.
fn backward(stage: &mut Stage, scale: f64) -> Vec<Values> {
    let mut signals = Vec::new();
    for (m, size) in SIZES.into_iter().enumerate() {
        let error = random_f32(&format!("error{m}"), &[size, 5]) * (scale / f64::from(N));
        signals.push(stage.error(id(m as u32), vec![("head".to_owned(), error)], &mut Whole).unwrap());
        stage.gradient(id(m as u32), N).unwrap();
    }
    stage.update(&mut Whole).unwrap();
    signals
}

/// Whether `name` is a W or its momentum.
fn is_w(name: &str) -> bool {
    !name.starts_with("norm") && name.contains(".weight") && !is_b(name)
}

/// Whether `name` is a B or its momentum.
fn is_b(name: &str) -> bool {
    name.contains(".weight_backward")
}

fn state(stage: &mut Stage, which: fn(&str) -> bool) -> BTreeMap<String, Tensor> {
    let mut state = common::state(stage);
    state.retain(|name, _| which(name));
    state
}

/// The tensors that may not depend on W: the error signals of one step, and B with its momentum after it. W is as it
/// is, or is overwritten with NaN between F and E.
fn step(rule: &str, poisoned: bool) -> BTreeMap<String, Tensor> {
    let mut stage = stage(rule, 1e-4);
    forward(&mut stage);
    if poisoned {
        let mut state = stage.state();
        let ws: Vec<_> =
            state.0.iter_mut().filter(|(name, _)| is_w(name) && name.ends_with(".weight")).collect();
        assert_eq!(ws.len(), 3);
        ws.into_iter().for_each(|(_, w)| drop(w.fill_(f64::NAN)));
    }
    let signals = backward(&mut stage, 1.0).into_iter().flatten().enumerate();
    let mut found = state(&mut stage, is_b);
    found.extend(signals.map(|(m, (_, error))| (format!("error{m}"), error)));
    found
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    bits(a) == bits(b)
}

#[test]
fn local_rules_send_and_learn_the_same_without_w() {
    for rule in LOCAL {
        let (with, without) = (step(rule, false), step(rule, true));
        assert_eq!(with.len(), SIZES.len() + 2 * 3, "{:?}", with.keys());
        for (name, tensor) in with {
            assert!(finite(&tensor), "{rule}: {name}");
            assert!(same(&tensor, &without[&name]), "{rule} has read W: {name} differs");
        }
    }
}

#[test]
fn the_others_show_that_they_read_w() {
    for (rule, tell) in [
        ("backprop", "error0"),
        ("symmetric_alignment", "conv2.weight_backward"),
        ("all", "head.weight_backward"),
    ] {
        assert!(finite(&step(rule, false)[tell]));
        assert!(!finite(&step(rule, true)[tell]), "{rule} has not read W");
    }
}

/// B moves and W keeps its bits if W has no gradient.
#[test]
fn alignment_never_touches_w() {
    for rule in LOCAL.iter().chain(&["symmetric_alignment", "all", "backprop"]) {
        let mut stage = stage(rule, 0.0);
        let (w, b) = (state(&mut stage, is_w), state(&mut stage, is_b));
        for _ in 0..3 {
            forward(&mut stage);
            backward(&mut stage, 0.0);
        }
        let still = |before: &BTreeMap<String, Tensor>, after: BTreeMap<String, Tensor>| {
            before.iter().filter(|(name, tensor)| same(tensor, &after[*name])).count()
        };
        assert_eq!(still(&w, state(&mut stage, is_w)), 6, "{rule} moves W");
        let fixed = if *rule == "feedback_alignment" { 6 } else { 0 };
        assert_eq!(still(&b, state(&mut stage, is_b)), fixed, "{rule} and B");
    }
}
