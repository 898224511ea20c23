//! Tests of stages that compute in bf16: they learn what f32 learns, their weights are f32, and the copies of the weights
//! follow every change.

use crate::common::{build, id, nesterov, random_f32, slice, state, under, value};
use crate::networks::{plain, pooled, residual, tangled};
use layer_node::stage::{Stage, Whole};
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::optimizer::{OptimizerSpec, Schedule};
use proto::spec::rule::{
    Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, Primitive, Product, RuleSpec, Transfer,
};
use proto::spec::stage::StageSpec;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

const N: u32 = 8;

/// Rules that together use every primitive and every option, beside those that have none.
fn rules() -> Vec<RuleSpec> {
    let all = Coefficients::new(&[
        (Primitive::Amp, 1e-3),
        (Primitive::Null, 1e-4),
        (Primitive::Sparse, 1e-3),
        (Primitive::Self_, 2e-2),
        (Primitive::Decay, 1e-2),
    ]);
    let mirror = Mirror { noise: Noise::Normal, sigma: 1.0, batch: 5, every: 1, delay: 0 };
    let learned =
        |alignment| RuleSpec::Learned { name: "custom".into(), task: true, coefficients: all, alignment };
    vec![
        RuleSpec::Backprop,
        RuleSpec::SignSymmetry { magnitude: Magnitude::Redrawn },
        RuleSpec::learned("kolen_pollack", true, Coefficients::new(&[(Primitive::Decay, 1e-2)])),
        RuleSpec::Product(Product { ratio: 1.0, decay: 1e-2, schedule: Schedule::default() }),
        learned(Alignment { centering: Centering::Batch, transfer: Transfer::Tanh, ..Alignment::default() }),
        learned(Alignment { mirror: Some(mirror), update_noise: 1e-3, ..Alignment::default() }),
    ]
}

fn stage(layers: &[LayerSpec], optimizer: &OptimizerSpec, kind: Kind) -> Stage {
    let spec = StageSpec {
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer.clone(),
        seed: 3,
        ..slice(layers, value(INPUT, &[3, 8, 8]), 0..layers.len())
    };
    build(&spec, kind)
}

/// One step of two microbatches, whose errors pull the outputs towards random targets. Returns the outputs.
fn step(stage: &mut Stage, step: u64, kind: Kind) -> Vec<Tensor> {
    let of = |m: MicrobatchId| {
        let x = random_f32(&format!("{step}/{}", m.index), &[4, 3, 8, 8]).to_kind(kind);
        let (name, y) =
            stage.forward(m, vec![(INPUT.into(), x)], Phase::Train, &mut Whole).unwrap().remove(0);
        let error = (&y - random_f32("target", &y.size())) / f64::from(N);
        stage.error(m, vec![(name, error.to_kind(kind))], &mut Whole).unwrap();
        stage.gradient(m, N).unwrap();
        y
    };
    let outputs = (0..2).map(|index| MicrobatchId { step, ..id(index) }).map(of).collect();
    stage.update(&mut Whole).unwrap();
    outputs
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.to_kind(Kind::Double).norm().double_value(&[])
}

/// The state moves in bf16 as it moves in f32, but for the noise of rounding, which a ReLU near 0 or a sign of W can make
/// large in single numbers. A bias below a norm has no gradient but noise.
#[test]
fn bf16_moves_every_tensor_as_f32_does() {
    let mut all = Vec::new();
    for network in [plain(), residual(INPUT, [8, 16], 10), pooled(), tangled()] {
        for rule in rules() {
            let layers = under(&rule, network.clone());
            let [f32, bf16] = [Kind::Float, Kind::BFloat16].map(|kind| {
                let mut stage = stage(&layers, &nesterov(0.05, 1e-2), kind);
                let before = state(&mut stage);
                step(&mut stage, 0, kind);
                let after = state(&mut stage);
                after.into_iter().map(|(name, after)| (name.clone(), after - &before[&name])).collect()
            }) as [BTreeMap<String, Tensor>; 2];
            for (name, right) in &f32 {
                assert_eq!(bf16[name].kind(), Kind::Float, "{name}");
                let noise = if name.contains(".bias") { 1e-2 } else { 1e-3 };
                let off = norm(&(&bf16[name] - right)) / norm(right).max(noise);
                assert!(off < 0.25, "{name} under {} is off by {off:.3}", rule.name());
                all.push(off);
            }
        }
    }
    all.sort_by(f64::total_cmp);
    let [median, largest] = [all[all.len() / 2], all[all.len() - 1]];
    println!("moves differ by {median:.3} of them in the median, and by {largest:.3} at most");
    assert!(median < 0.02, "{median}");
}

/// A step that changes no number of bf16 changes W, and many such steps add up.
#[test]
fn steps_that_are_too_small_for_bf16_add_up() {
    let name = "head.weight";
    let run = |kind: Kind, steps: u64| {
        let mut stage = stage(&plain(), &OptimizerSpec::sgd(1e-5), kind);
        let before = state(&mut stage)[name].copy();
        // All steps are on the same samples.
        (0..steps).for_each(|_| drop(step(&mut stage, 0, kind)));
        [before, state(&mut stage)[name].copy()]
    };
    let [before, after] = run(Kind::BFloat16, 1);
    let rounded = |tensor: &Tensor| tensor.to_kind(Kind::BFloat16);
    let unmoved = rounded(&before).eq_tensor(&rounded(&after)).to_kind(Kind::Float);
    assert!(unmoved.mean(Kind::Float).double_value(&[]) > 0.9, "the step is small");
    assert_ne!(before, after);
    let moves = [Kind::Float, Kind::BFloat16].map(|kind| {
        let [before, after] = run(kind, 50);
        after - before
    });
    let off = norm(&(&moves[0] - &moves[1])) / norm(&moves[0]);
    assert!(off < 0.05, "{off:.3}");
}

/// A stage whose state was set computes what the stage computes that the state is of, whatever it had computed before.
#[test]
fn what_a_stage_computes_follows_its_state_alone() {
    let kind = Kind::BFloat16;
    for rule in rules() {
        let layers = under(&rule, residual(INPUT, [8, 16], 10));
        let new = || stage(&layers, &nesterov(0.05, 1e-2), kind);
        let [mut trained, mut set] = [new(), new()];
        step(&mut trained, 0, kind);
        step(&mut set, 7, kind);
        for at in 1..3 {
            let from = state(&mut trained);
            set.state().0.iter_mut().for_each(|(name, tensor)| tensor.copy_(&from[name]));
            set.set_updates(trained.updates());
            assert_eq!(step(&mut trained, at, kind), step(&mut set, at, kind), "{}", rule.name());
            assert_eq!(state(&mut trained), state(&mut set), "{}", rule.name());
        }
    }
}
