//! Tests of product feedback alignment on a layer: the law of R − BᵀW, the matrices, and what the rule can reach.

use crate::common::{conv, double, id, linear, nesterov, random, update};
use layer_node::layer::{Layer, Pass, WeightLayer};
use layer_node::rule::Feedback;
use layer_node::settings::Settings;
use layer_node::state::named::State;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::{Method, OptimizerSpec, Schedule, Shape};
use proto::spec::rule::{Product, RuleSpec};
use tch::{Kind, Tensor};

const CONV: Op = conv(6, 3, 2, 1, true);
const DENSE: Op = linear(7, true);
const RATIOS: [f64; 3] = [1.0, 0.5, 3.0];
const N: i64 = 4;

fn shape(op: &Op) -> Vec<u64> {
    if matches!(op, Op::Linear { .. }) { vec![20] } else { vec![4, 5, 5] }
}

fn layer(op: Op, ratio: f64, optimizer: &OptimizerSpec, kind: Kind) -> (WeightLayer, Settings) {
    let schedule = optimizer.weight_decay_schedule.clone();
    let rule = RuleSpec::Product(Product { ratio, decay: optimizer.weight_decay / 2.0, schedule });
    let of_r = OptimizerSpec { weight_decay: 0.0, ..optimizer.clone() };
    let settings = Settings { kind, ..double(optimizer.clone(), of_r) };
    let spec = LayerSpec { rule, ..LayerSpec::new("it", &["x"], op) };
    (WeightLayer::new(&spec, &shape(&op), &settings).unwrap(), settings)
}

/// Runs F, E and G of a minibatch of random numbers.
fn minibatch(layer: &mut WeightLayer, op: &Op, name: &str, kind: Kind) {
    let size: Vec<i64> = [N].into_iter().chain(shape(op).iter().map(|&s| s as i64)).collect();
    let y = layer.forward(id(0), vec![random(name, &size).to_kind(kind)], Pass::Train).unwrap();
    let error = random(&format!("{name} error"), &y.size()).to_kind(kind) / N as f64;
    layer.error(id(0), error, true).unwrap();
    layer.gradient(id(0), N as u32).unwrap();
}

/// B (out, mid), and W and R as matrices of as many columns, in float64.
fn matrices(layer: &mut WeightLayer) -> [Tensor; 3] {
    let mut state = State::default();
    layer.state(&mut state);
    ["feedback", "weight", "weight_backward"].map(|name| {
        let tensor = &state.0[&format!("it.{name}")];
        tensor.copy().reshape([tensor.size()[0], -1]).to_kind(Kind::Double)
    })
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.norm().double_value(&[])
}

/// ‖R − BᵀW‖
fn difference(layer: &mut WeightLayer) -> f64 {
    let [b, w, r] = matrices(layer);
    norm(&(r - b.tr().matmul(&w)))
}

/// The factor aₜ of the law by its recursion, for the first updates under `optimizer`.
fn law(optimizer: &OptimizerSpec, updates: u64) -> f64 {
    let Method::Sgd { momentum, nesterov } = optimizer.method else { panic!("the law is of SGD") };
    let step = |(c, buffer): (f64, f64), updates: u64| {
        let gradient = optimizer.decay(updates) * c;
        let buffer = momentum * buffer + gradient;
        let direction = if nesterov { gradient + momentum * buffer } else { buffer };
        (c - optimizer.lr * optimizer.schedule.factor(updates) * direction, buffer)
    };
    (0..updates).fold((1.0, 0.0), step).0
}

#[test]
fn the_difference_of_r_and_its_goal_obeys_the_law_under_momentum_and_schedules() {
    let step = Shape::Step { boundaries: vec![10, 20], factor: 0.2 };
    let scheduled = Schedule { warmup: 3, shape: step };
    for (op, ratio) in [DENSE, CONV].into_iter().flat_map(|op| RATIOS.map(|ratio| (op, ratio))) {
        for nesterov in [false, true] {
            let optimizer = OptimizerSpec {
                method: Method::Sgd { momentum: 0.9, nesterov },
                weight_decay: 0.1,
                schedule: Schedule { warmup: 0, shape: Shape::Cosine { total: 40 } },
                weight_decay_schedule: scheduled.clone(),
                ..OptimizerSpec::sgd(0.1)
            };
            let (mut layer, settings) = layer(op, ratio, &optimizer, Kind::Double);
            let (begun, fixed) = (difference(&mut layer), matrices(&mut layer)[0].copy());
            for updates in 0..30 {
                minibatch(&mut layer, &op, &updates.to_string(), Kind::Double);
                update(&mut layer, &settings, updates);
                let due = begun * law(&optimizer, updates + 1).abs();
                let [found, measured] =
                    [difference(&mut layer), layer.measure().unwrap().unwrap().difference];
                assert!((found - due).abs() < 1e-9 * begun, "{op:?} {ratio} {updates}: {found} is not {due}");
                assert!((measured - found).abs() < 1e-12 * begun, "{op:?} {ratio}: {measured} and {found}");
            }
            assert!(law(&optimizer, 30).abs() < 0.5, "the decay has an effect");
            assert_eq!(matrices(&mut layer)[0], fixed, "B stays as it was drawn");
        }
    }
}

#[test]
fn the_task_gradient_of_r_is_that_of_w_behind_b() {
    for (kind, tolerance) in [(Kind::Double, 1e-12), (Kind::Float, 1e-5)] {
        for (op, ratio) in [DENSE, CONV].into_iter().flat_map(|op| RATIOS.map(|ratio| (op, ratio))) {
            let (mut layer, _) = layer(op, ratio, &nesterov(0.1, 0.0), kind);
            minibatch(&mut layer, &op, "x", kind);
            let flat = |tensor: &Tensor| tensor.reshape([tensor.size()[0], -1]).to_kind(Kind::Double);
            let of_w = flat(layer.task_gradient().unwrap());
            let of_r = flat(&layer.backward_gradient(0).unwrap().unwrap());
            let off = norm(&(&of_r - matrices(&mut layer)[0].tr().matmul(&of_w))) / norm(&of_r);
            assert!(off < tolerance, "{op:?} {ratio} in {kind:?}: off by {off:e}");
        }
    }
}

#[test]
fn b_is_orthogonal_where_it_is_square_and_keeps_the_size_of_w_elsewhere() {
    let drawn = |ratio, op| matrices(&mut layer(op, ratio, &nesterov(0.1, 0.0), Kind::Double).0);
    for op in [DENSE, CONV] {
        let [b, ..] = drawn(1.0, op);
        let off = b.matmul(&b.tr()) - Tensor::eye(b.size()[0], (Kind::Double, b.device()));
        assert!(norm(&off) < 1e-6, "{off:?}");
    }
    for ratio in [0.5, 1.0, 4.0] {
        let [b, w, r] = drawn(ratio, linear(128, false));
        let times = norm(&b.matmul(&r)) / norm(&w);
        assert!((times - 1.0).abs() < 0.2, "ratio {ratio}: B·R is {times} times as large as W");
        assert!((norm(&b) / (b.size()[0] as f64).sqrt() - 1.0).abs() < 0.05, "numbers of variance 1/mid");
    }
}

#[test]
fn a_strong_decay_aligns_the_product_with_w() {
    for op in [DENSE, CONV] {
        let optimizer = nesterov(0.1, 0.5);
        let (mut layer, settings) = layer(op, 1.0, &optimizer, Kind::Double);
        let before = layer.measure().unwrap().unwrap().angle_deg;
        assert!((before - 90.0).abs() < 25.0, "R was drawn without W, at {before}°");
        for updates in 0..100 {
            minibatch(&mut layer, &op, &updates.to_string(), Kind::Double);
            update(&mut layer, &settings, updates);
        }
        let measured = layer.measure().unwrap().unwrap();
        assert!(measured.angle_deg < 1.0, "{op:?}: {}°", measured.angle_deg);
        assert!((measured.norm_ratio - 1.0).abs() < 0.01, "{op:?}: {}", measured.norm_ratio);
    }
}

/// The type of R's rule has no access to W: see `layer_node::rule::access`.
#[test]
fn the_rule_of_r_is_local_by_its_type() {
    let rule = RuleSpec::Product(Product { ratio: 1.0, decay: 0.1, schedule: Schedule::default() });
    let feedback = Feedback::new(&rule);
    assert!(matches!(feedback, Feedback::Local(_)) && !feedback.reads_weight() && !rule.reads().weight);
}
