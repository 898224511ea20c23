//! An unfinished minibatch leaves no trace: the state is as of the last update.
//!
//! Found when a coordinator was killed in the middle of a step: the nodes saved their weights as of the
//! last update, but running statistics that forward passes had moved since. Losses of the resumed run were
//! right to the bit; its evaluations were not.

use layer_node::layer::Settings;
use layer_node::stage::Stage;
use proto::graph::{Init, LayerSpec, Op};
use proto::lane::Phase;
use proto::message::Value;
use proto::optimizer::{Method, OptimizerSpec, Schedule};
use proto::rule::{Coefficients, RuleSpec};
use proto::stage::StageSpec;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

fn stage() -> Stage {
    let method = Method::Sgd { momentum: 0.9, nesterov: true };
    let optimizer = OptimizerSpec { method, lr: 0.1, weight_decay: 1e-4, schedule: Schedule::default() };
    let coefficients = Coefficients { amp: 0.1, self_: 0.1, decay: 0.1, ..Default::default() };
    let rule =
        RuleSpec::Learned { name: "custom".into(), task: true, coefficients, alignment: Default::default() };
    let layer = |name: &str, input: &str, op| LayerSpec {
        name: name.into(),
        inputs: vec![input.into()],
        op,
        rule: rule.clone(),
    };
    let conv = Op::Conv2d { out: 4, kernel: 3, stride: 1, padding: 1, bias: true, init: Init::FanIn };
    let spec = StageSpec {
        run: "run".into(),
        incarnation: 1,
        index: 1,
        stages: 3,
        layers: vec![
            layer("conv", "below", conv),
            layer("norm", "conv", Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 }),
            layer("bias", "norm", Op::Bias),
        ],
        inputs: vec![Value { name: "below".into(), shape: vec![3, 5, 5] }],
        outputs: vec!["bias".into()],
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer.clone(),
        seed: 0,
        max_microbatch: 4,
        max_microbatches: 2,
        wire: proto::tensor::Kind::F32,
        restore: None,
        keep_snapshots: 2,
        recompute: false,
    };
    let settings = Settings {
        device: Device::Cpu,
        kind: Kind::Float,
        seed: 0,
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer,
    };
    Stage::new(&spec, settings).unwrap()
}

fn input(seed: i64) -> Vec<(String, Tensor)> {
    let x = Tensor::arange(4 * 75, (Kind::Float, Device::Cpu)).reshape([4, 3, 5, 5]);
    vec![("below".into(), (x * (seed + 1)).sin())]
}

fn step(stage: &mut Stage, seed: i64) {
    let outputs = stage.forward(0, input(seed), Phase::Train).unwrap();
    stage.error(0, outputs).unwrap();
    stage.gradient(0, 4).unwrap();
    stage.update().unwrap();
}

fn state(stage: &mut Stage) -> BTreeMap<String, Tensor> {
    stage.state().0.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

#[test]
fn an_abandoned_minibatch_leaves_no_trace() {
    let mut disturbed = stage();
    step(&mut disturbed, 1);
    let before = state(&mut disturbed);
    let outputs = disturbed.forward(0, input(2), Phase::Train).unwrap();
    disturbed.forward(1, input(3), Phase::Train).unwrap();
    disturbed.error(0, outputs).unwrap();
    disturbed.gradient(0, 8).unwrap();
    assert_ne!(
        state(&mut disturbed)["norm.running_mean"],
        before["norm.running_mean"],
        "forward passes move it"
    );
    disturbed.abandon();
    assert_eq!(state(&mut disturbed), before);

    let mut undisturbed = stage();
    step(&mut undisturbed, 1);
    step(&mut disturbed, 4);
    step(&mut undisturbed, 4);
    assert_eq!(state(&mut disturbed), state(&mut undisturbed));
}
