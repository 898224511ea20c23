//! Tests of the record of what a rule read: every rule reads what its specification declares, no more and no less.

use crate::common::{conv, double, id, linear, random, update};
use layer_node::layer::{Layer, Pass, WeightLayer};
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::{OptimizerSpec, Schedule};
use proto::spec::reads::Reads;
use proto::spec::rule::{
    Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, Primitive, Product, RuleSpec, Transfer,
};

/// The values that the layer's B was updated from: when it was built, and after two updates under `rule`.
fn recorded(op: Op, shape: &[u64], rule: &RuleSpec) -> [Reads; 2] {
    let settings = double(OptimizerSpec::sgd(0.1), OptimizerSpec::sgd(0.1));
    let spec = LayerSpec { rule: rule.clone(), ..LayerSpec::new("it", &["x"], op) };
    let mut layer = WeightLayer::new(&spec, shape, &settings).unwrap();
    let before = layer.reads().unwrap().read;
    let size: Vec<i64> = [3].into_iter().chain(shape.iter().map(|&size| size as i64)).collect();
    for updates in 0..2 {
        let y = layer.forward(id(0), vec![random("x", &size)], Pass::Train).unwrap();
        layer.error(id(0), random("error", &y.size()), true).unwrap();
        layer.gradient(id(0), 3).unwrap();
        update(&mut layer, &settings, updates);
    }
    [before, layer.reads().unwrap().read]
}

fn learned(task: bool, coefficients: Coefficients, alignment: Alignment) -> RuleSpec {
    RuleSpec::Learned { name: "custom".into(), task, coefficients, alignment }
}

/// Every rule without a loss, every primitive alone and all together, each with every option of theirs.
fn rules() -> Vec<RuleSpec> {
    let mirror = Some(Mirror { noise: Noise::Normal, sigma: 1.0, batch: 4, every: 1, delay: 0 });
    let plain = Alignment::default;
    let options = [
        plain(),
        Alignment { centering: Centering::Batch, ..plain() },
        Alignment { transfer: Transfer::Relu, ..plain() },
        Alignment { transfer: Transfer::Tanh, centering: Centering::Sample, ..plain() },
        Alignment { mirror, ..plain() },
    ];
    let none = Coefficients::default();
    let all = Primitive::ALL.into_iter().fold(none, |all, one| all.with(one, 1e-3));
    let alone = Primitive::ALL.map(|one| none.with(one, 1e-3));
    let magnitudes = [Magnitude::Uniform, Magnitude::Redrawn, Magnitude::Fixed];
    let mut rules = vec![RuleSpec::Backprop];
    // R reads the error behind B, also where it does not decay.
    let product = |decay| Product { ratio: 1.5, decay, schedule: Schedule::default() };
    rules.extend([0.0, 0.1].map(product).map(RuleSpec::Product));
    rules.extend(magnitudes.map(|magnitude| RuleSpec::SignSymmetry { magnitude }));
    for coefficients in alone.into_iter().chain([none, all]) {
        for alignment in &options {
            rules.extend([false, true].map(|task| learned(task, coefficients, alignment.clone())));
        }
    }
    rules
}

#[test]
fn every_rule_reads_what_it_declares() {
    for rule in rules() {
        let declared = rule.reads();
        for (op, shape) in [(conv(3, 3, 1, 1, true), &[2, 4, 4][..]), (linear(4, false), &[5])] {
            let [before, read] = recorded(op, shape, &rule);
            assert_eq!(read, declared, "{rule:?} reads {read} and declares {declared}");
            let from_w = matches!(rule, RuleSpec::SignSymmetry { .. });
            assert!(
                before == if from_w { declared } else { Reads::default() },
                "{rule:?} begins with {before}"
            );
        }
    }
}
