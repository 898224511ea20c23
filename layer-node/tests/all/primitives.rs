//! Tests of every primitive on its own: it trains B, and it reads W only if it declares so.

use crate::common::{conv, double, id, linear, nesterov, random, update};
use layer_node::layer::{Layer, Pass, WeightLayer};
use layer_node::rule::Feedback;
use layer_node::settings::Settings;
use layer_node::state::named::State;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::OptimizerSpec;
use proto::spec::rule::{Alignment, Coefficients, Mirror, Noise, Primitive, RuleSpec};
use tch::Tensor;

fn settings() -> Settings {
    double(nesterov(0.1, 0.0), OptimizerSpec::sgd(0.01))
}

/// The rule with this primitive alone; with `noise`, in mirror steps.
fn alone(one: Primitive, noise: bool) -> RuleSpec {
    let steps = Mirror { noise: Noise::Normal, sigma: 1.0, batch: 8, every: 1, delay: 0 };
    let alignment = Alignment { mirror: noise.then_some(steps), ..Alignment::default() };
    let coefficients = Coefficients::default().with(one, 0.1);
    RuleSpec::Learned { name: "custom".into(), task: false, coefficients, alignment }
}

/// B before and after one step of one minibatch. If `poisoned` is set, W is NaN from its F on.
fn step(op: Op, rule: RuleSpec, poisoned: bool) -> [Tensor; 2] {
    let shape: &[u64] = if matches!(op, Op::Linear { .. }) { &[12] } else { &[3, 5, 5] };
    let spec = LayerSpec { rule, ..LayerSpec::new("it", &["x"], op) };
    let mut layer = WeightLayer::new(&spec, shape, &settings()).unwrap();
    let tensor = |layer: &mut WeightLayer, poison: bool| {
        let mut state = State::default();
        layer.state(&mut state);
        if poison {
            drop(state.0.get_mut("it.weight").unwrap().fill_(f64::NAN));
        }
        state.0["it.weight_backward"].copy()
    };
    let size: Vec<i64> = [4].into_iter().chain(shape.iter().map(|&size| size as i64)).collect();
    let y = layer.forward(id(0), vec![random("x", &size)], Pass::Train).unwrap();
    let before = tensor(&mut layer, poisoned);
    layer.error(id(0), random("error", &y.size()), true).unwrap();
    layer.gradient(id(0), 4).unwrap();
    update(&mut layer, &settings(), 0);
    [before, tensor(&mut layer, false)]
}

#[test]
fn every_primitive_trains_b_alone_and_reads_w_only_if_it_says_so() {
    for one in Primitive::ALL {
        let declared = one.reads_weight();
        assert_eq!(matches!(Feedback::new(&alone(one, false)), Feedback::ReadsWeight(_)), declared, "{one}");
        for op in [linear(7, true), conv(6, 3, 1, 1, true)] {
            let [before, after] = step(op, alone(one, false), false);
            assert_ne!(before, after, "{one} does nothing to B of {op:?}");
            let [_, blind] = step(op, alone(one, false), true);
            assert_eq!(blind == after, !declared, "{one} on {op:?} reads W, or declares it in vain");
            let [before, after] = step(op, alone(one, true), false);
            assert_ne!(before, after, "{one} does nothing to B of {op:?} in mirror steps");
        }
    }
}
