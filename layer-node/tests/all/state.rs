//! The state that a specification promises, against the state that stages keep: every kind of layer, rule and optimizer,
//! with W and B on one host or on two.

use crate::common::{NORM, build, conv, layer, linear, value, window};
use layer_node::settings::Settings;
use layer_node::stage::BackwardHalf;
use layer_node::state::named::State;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::{Method, OptimizerSpec, Schedule};
use proto::spec::rule::{Coefficients, Magnitude, Product, RuleSpec};
use proto::spec::stage::{Half, StageSpec};
use proto::spec::state::{StateTensor, TensorRole, state_by_name, state_of};
use std::collections::BTreeMap;
use tch::{Device, Kind};

const METHODS: [Method; 4] = [
    Method::Sgd { momentum: 0.0, nesterov: false },
    Method::Sgd { momentum: 0.9, nesterov: false },
    Method::Sgd { momentum: 0.9, nesterov: true },
    Method::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 },
];

/// Every kind of layer.
fn layers() -> Vec<LayerSpec> {
    vec![
        layer("a", "input", conv(4, 3, 1, 1, false)),
        layer("norm", "a", NORM),
        layer("b", "norm", conv(4, 3, 1, 1, true)),
        layer("sum", "b a", Op::Add),
        layer("relu", "sum", Op::Relu),
        layer("max", "relu", Op::MaxPool(window(2, 2, 0))),
        layer("mean", "max", Op::AvgPool(window(0, 1, 0))),
        layer("flat", "mean", Op::Flatten),
        layer("shift", "flat", Op::Bias),
        layer("hidden", "shift", linear(6, false)),
        layer("classes", "hidden", linear(5, true)),
    ]
}

fn promised(spec: &StageSpec) -> BTreeMap<String, Vec<i64>> {
    let shape = |tensor: StateTensor| tensor.shape.iter().map(|&size| size as i64).collect();
    let state = state_of(spec).unwrap();
    let (count, named) = (state.len(), state.into_iter().map(|tensor| (tensor.name.clone(), shape(tensor))));
    let named: BTreeMap<_, _> = named.collect();
    assert_eq!(named.len(), count, "every name once");
    named
}

fn kept(state: State) -> BTreeMap<String, Vec<i64>> {
    state.0.into_iter().map(|(name, tensor)| (name, tensor.size())).collect()
}

#[test]
fn a_specification_promises_the_state_that_the_node_keeps() {
    let learned = |task| RuleSpec::learned("custom", task, Coefficients::default());
    let rules = [
        RuleSpec::Backprop,
        RuleSpec::SignSymmetry { magnitude: Magnitude::Fixed },
        learned(false),
        learned(true),
        RuleSpec::Product(Product { ratio: 1.5, decay: 0.0, schedule: Schedule::default() }),
    ];
    for (rule, [method, method_backward]) in
        rules.iter().flat_map(|rule| METHODS.map(|m| METHODS.map(|b| (rule, [m, b]))).concat())
    {
        let of = |method| OptimizerSpec { method, ..OptimizerSpec::sgd(0.1) };
        let can_split = !rule.reads().weight;
        for split in [false, true].into_iter().filter(|split| can_split || !split) {
            let under = |spec: LayerSpec| LayerSpec {
                split: split && spec.op.is_weight() && spec.name != "b",
                rule: rule.clone(),
                ..spec
            };
            let spec = StageSpec {
                optimizer: of(method),
                optimizer_backward: of(method_backward),
                ..StageSpec::alone(
                    layers().into_iter().map(under).collect(),
                    vec![value("input", &[3, 8, 8])],
                )
            };
            assert_eq!(
                promised(&spec),
                kept(build(&spec, Kind::Float).state()),
                "{rule:?} {method:?} {split}"
            );
            let half = StageSpec { half: Half::Backward, ..spec.clone() };
            let settings = Settings::of(&half, Device::Cpu, Kind::Float);
            assert_eq!(promised(&half), kept(BackwardHalf::new(&half, settings).unwrap().state()));
            roles_follow_from_names(&spec);
        }
    }
}

/// Readers of files without a specification tell roles and layers by the names alone.
fn roles_follow_from_names(spec: &StageSpec) {
    let state = state_of(spec).unwrap();
    let named = state.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
    let mut due = state.clone();
    due.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(state_by_name(&named), due);
    let slots = state.iter().filter(|tensor| matches!(tensor.role, TensorRole::Slot { .. }));
    assert!(slots.into_iter().all(|slot| slot.name.rsplit_once('.').is_some()));
}
