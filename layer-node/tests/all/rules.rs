//! Tests of the rules on a layer: their options against autograd, mirror steps, and the signs of W.

use crate::common::{conv, double, id, linear, nesterov, random, update};
use layer_node::layer::{Layer, Pass, WeightLayer};
use layer_node::settings::Settings;
use layer_node::state::named::State;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::{OptimizerSpec, Schedule, Shape};
use proto::spec::rule::{
    Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, Primitive, RuleSpec, Transfer,
};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

const CONV: Op = conv(6, 3, 1, 1, true);
const DENSE: Op = linear(7, true);
const LR_B: f64 = 0.01;

fn shape(op: &Op) -> Vec<u64> {
    if matches!(op, Op::Linear { .. }) { vec![20] } else { vec![4, 5, 5] }
}

fn settings() -> Settings {
    double(nesterov(0.1, 1e-3), OptimizerSpec::sgd(LR_B))
}

fn layer(op: Op, rule: RuleSpec) -> WeightLayer {
    let spec = LayerSpec { rule, ..LayerSpec::new("it", &["x"], op) };
    WeightLayer::new(&spec, &shape(&op), &settings()).unwrap()
}

fn learned(coefficients: Coefficients, alignment: Alignment) -> RuleSpec {
    RuleSpec::Learned { name: "custom".into(), task: false, coefficients, alignment }
}

fn mirror(coefficients: Coefficients, every: u64, delay: u64) -> RuleSpec {
    let mirror = Some(Mirror { noise: Noise::Normal, sigma: 1.0, batch: 16, every, delay });
    learned(coefficients, Alignment { mirror, ..Alignment::default() })
}

/// All tensors that the layer keeps, by name.
fn state(layer: &mut WeightLayer) -> BTreeMap<String, Tensor> {
    let mut state = State::default();
    layer.state(&mut state);
    state.0.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

/// Runs F, E and G of the minibatch `name` with `n` samples, and returns its x.
fn minibatch(layer: &mut WeightLayer, op: &Op, n: i64, name: &str) -> Tensor {
    let size: Vec<i64> = [n].into_iter().chain(shape(op).iter().map(|&s| s as i64)).collect();
    // x is not centred, so that centring has an effect.
    let x = random(name, &size) + 0.5;
    let y = layer.forward(id(0), vec![x.shallow_clone()], Pass::Train).unwrap();
    let error = random(&format!("{name} error"), &y.size()) / n as f64;
    layer.error(id(0), error.shallow_clone(), true).unwrap();
    layer.gradient(id(0), n as u32).unwrap();
    x
}

fn angle(layer: &WeightLayer) -> f64 {
    layer.measure().unwrap().unwrap().angle_deg
}

/// The gradient of B's loss by its formula: torch differentiates it with respect to B, and x and y are constants.
fn by_autograd(layer: &mut WeightLayer, x: &Tensor, c: Coefficients, alignment: &Alignment) -> Tensor {
    let map = layer.map();
    let kept = state(layer);
    let (w, b) = (&kept["it.weight"], kept["it.weight_backward"].set_requires_grad(true));
    let n = x.size()[0] as f64;
    let over: Vec<i64> = (1..x.dim() as i64).collect();
    let x = match alignment.centering {
        Centering::None => x.shallow_clone(),
        Centering::Sample => x - x.mean_dim(over.as_slice(), true, Kind::Double),
        Centering::Batch => x - x.mean_dim([0i64].as_slice(), true, Kind::Double),
    };
    let phi = |t: &Tensor| match alignment.transfer {
        Transfer::Identity => t.shallow_clone(),
        Transfer::Relu => t.relu(),
        Transfer::Tanh => t.tanh(),
    };
    let y = phi(&map.forward(&x, w).unwrap()).detach();
    let z = phi(&map.forward(&x, &b).unwrap());
    let r = map.adjoint(&y, &b, &x).unwrap();
    let total = |t: Tensor| t.sum(Kind::Double);
    let loss = total(&z * &y) * (-c.of(Primitive::Amp) / n)
        + total(z.square()) * (c.of(Primitive::Sparse) / n)
        + total(r.square()) * (c.of(Primitive::Null) / n)
        + total(b.square()) * c.of(Primitive::Decay)
        + total(w * &b) * (-c.of(Primitive::Self_));
    let factor = alignment.schedule.factor(1);
    Tensor::run_backward(&[loss * factor], &[&b], false, false).remove(0)
}

#[test]
fn b_follows_the_slope_of_its_loss_under_every_option() {
    let c = Coefficients::new(&[
        (Primitive::Amp, 0.3),
        (Primitive::Null, 0.05),
        (Primitive::Sparse, 0.2),
        (Primitive::Self_, 0.4),
        (Primitive::Decay, 0.1),
    ]);
    let schedule = Schedule { warmup: 0, shape: Shape::Cosine { total: 4 } };
    for op in [DENSE, CONV] {
        for centering in [Centering::None, Centering::Sample, Centering::Batch] {
            for transfer in [Transfer::Identity, Transfer::Relu, Transfer::Tanh] {
                let alignment =
                    Alignment { centering, transfer, schedule: schedule.clone(), ..Alignment::default() };
                let mut layer = layer(op, learned(c, alignment.clone()));
                let x = minibatch(&mut layer, &op, 8, "x");
                let right = by_autograd(&mut layer, &x, c, &alignment);
                let ours = layer.backward_gradient(1).unwrap().unwrap();
                let off =
                    (&ours - &right).abs().max().double_value(&[]) / right.abs().max().double_value(&[]);
                assert!(off < 1e-12, "{op:?} {centering:?} {transfer:?}: off by {off:e}");
            }
        }
    }
}

#[test]
fn weight_mirror_aligns_b_to_w_under_isotropic_noise() {
    // amp grows with the number of positions that share a weight.
    for (op, positions) in [(DENSE, 1.0), (CONV, 25.0)] {
        let c = Coefficients::new(&[(Primitive::Amp, 1.0 / positions), (Primitive::Decay, 0.5)]);
        for noise in [Noise::Normal, Noise::Uniform] {
            let steps = Mirror { noise, sigma: 1.0, batch: 64, every: 0, delay: 800 };
            let alignment = Alignment { mirror: Some(steps), ..Alignment::default() };
            let mut layer = layer(op, learned(c, alignment));
            let before = angle(&layer);
            assert!((before - 90.0).abs() < 20.0, "{op:?}: B was drawn without W, at {before}°");
            (0..800).for_each(|step| layer.align(&settings(), step).unwrap());
            let measure = layer.measure().unwrap().unwrap();
            assert!(measure.angle_deg < 10.0, "{op:?} {noise:?}: {}°", measure.angle_deg);
            // The fixed point of B is amp · σ² · positions / (2 decay) · W. Padding cuts some positions off.
            assert!((0.6..1.2).contains(&measure.norm_ratio), "{op:?}: {}", measure.norm_ratio);
        }
    }
}

#[test]
fn mirror_steps_leave_all_but_b_alone() {
    let c = Coefficients::new(&[(Primitive::Amp, 0.1), (Primitive::Sparse, 0.1), (Primitive::Decay, 0.1)]);
    for op in [DENSE, CONV] {
        let (mut still, mut mirrored) =
            (layer(op, learned(Coefficients::default(), Alignment::default())), layer(op, mirror(c, 2, 5)));
        for step in 0..5 {
            mirrored.align(&settings(), step).unwrap();
        }
        let delayed = state(&mut mirrored);
        mirrored.align(&settings(), 5).unwrap();
        let same = |a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>, is: fn(&str) -> bool| {
            a.iter().filter(|(name, _)| is(name)).all(|(name, tensor)| *tensor == b[name])
        };
        assert!(same(&delayed, &state(&mut mirrored), |_| true), "the delay phase has ended");
        let is_b = |name: &str| name.contains("weight_backward");
        assert!(!same(&delayed, &state(&mut still), is_b), "B moved in the delay phase");
        for updates in 0..4 {
            let name = updates.to_string();
            _ = minibatch(&mut still, &op, 8, &name);
            _ = minibatch(&mut mirrored, &op, 8, &name);
            let before = state(&mut mirrored);
            update(&mut still, &settings(), updates);
            update(&mut mirrored, &settings(), updates);
            let after = state(&mut mirrored);
            assert_eq!(
                same(&before, &after, is_b),
                updates % 2 == 0,
                "a mirror step after every second update"
            );
            let others = |name: &str| !name.contains("weight_backward");
            assert!(
                same(&after, &state(&mut still), others),
                "W and its momentum are as without mirror steps"
            );
            assert!(!same(&before, &after, others), "the task moved W");
        }
    }
}

#[test]
fn noise_on_updates_has_the_deviation_that_was_asked_for() {
    let noisy = Alignment { update_noise: 0.5, ..Alignment::default() };
    let c = Coefficients::new(&[(Primitive::Self_, 1.0)]);
    let step = |alignment: &Alignment| {
        let mut layer = layer(CONV, learned(c, alignment.clone()));
        _ = minibatch(&mut layer, &CONV, 4, "x");
        update(&mut layer, &settings(), 0);
        state(&mut layer).remove("it.weight_backward").unwrap()
    };
    let noise = step(&noisy) - step(&Alignment::default());
    let deviation = noise.std(false).double_value(&[]) / LR_B;
    assert!((deviation - 0.5).abs() < 0.07, "{deviation}");
}

#[test]
fn sign_symmetry_gives_b_the_signs_of_w_and_magnitudes_of_its_own() {
    for magnitude in [Magnitude::Uniform, Magnitude::Redrawn, Magnitude::Fixed] {
        let mut layer = layer(DENSE, RuleSpec::SignSymmetry { magnitude });
        let mut sizes = Vec::new();
        for updates in 0..3 {
            let kept = state(&mut layer);
            let (w, b) = (&kept["it.weight"], &kept["it.weight_backward"]);
            assert_eq!(w.sign(), b.sign(), "{magnitude:?} after {updates} updates");
            sizes.push(b.abs());
            _ = minibatch(&mut layer, &DENSE, 8, &updates.to_string());
            update(&mut layer, &settings(), updates);
        }
        assert_eq!(sizes[0] == sizes[2], magnitude != Magnitude::Redrawn, "{magnitude:?}");
        let spread = sizes[0].std(false).double_value(&[]);
        assert_eq!(spread < 1e-12, magnitude == Magnitude::Uniform, "{magnitude:?}: {spread}");
        if magnitude == Magnitude::Uniform {
            assert!((sizes[0].max().double_value(&[]) - (1.0f64 / 20.0).sqrt()).abs() < 1e-12);
        }
    }
}

/// The angle of B and W after activation alignment on planes of `side` positions, with `amp` and half of it as `sparse`.
fn aligned(side: i64, per_position: bool, amp: f64) -> f64 {
    let coefficients = Coefficients::new(&[(Primitive::Amp, amp), (Primitive::Sparse, amp / 2.0)]);
    let rule = learned(coefficients, Alignment { per_position, ..Alignment::default() });
    let settings = double(nesterov(0.1, 0.0), nesterov(0.1, 0.0));
    let spec = LayerSpec { rule, ..LayerSpec::new("it", &["x"], conv(8, 3, 1, 1, false)) };
    let mut layer = WeightLayer::new(&spec, &[8, side as u64, side as u64], &settings).unwrap();
    for step in 0..120 {
        // As behind a ReLU: its mean is most of what the layer sees.
        let x = random(&format!("x {step}"), &[4, 8, side, side]).relu();
        let y = layer.forward(id(0), vec![x.shallow_clone()], Pass::Train).unwrap();
        layer.error(id(0), y.zeros_like(), false).unwrap();
        layer.gradient(id(0), 4).unwrap();
        update(&mut layer, &settings, step);
    }
    angle(&layer)
}

/// The coefficients of the paper's code suit 8×8 positions, and diverge on 32×32.
#[test]
fn one_coefficient_fits_every_resolution_per_position() {
    const CODE: f64 = 2e-3;
    let (small, large) = (aligned(8, false, CODE), aligned(32, false, CODE));
    let means = [8, 16, 32].map(|side| aligned(side, true, 64.0 * CODE));
    println!("sums: 8×8 {small:.2}°, 32×32 {large:.2}°; means: {means:.2?}°");
    assert!(small < 5.0 && (large.is_nan() || large > 45.0), "{small} {large}");
    assert!(means.iter().all(|angle| (angle - small).abs() < 2.0), "{means:?}");
}
