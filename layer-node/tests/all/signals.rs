//! Tests of the comparison of signals: it finds the angles of the first microbatch, in every kind of stage, and changes no
//! bit of training.

use crate::common::{self, build, id, nesterov, random_f32, slice, under, value};
use crate::networks::pooled;
use layer_node::stage::{Stage, Whole};
use proto::control::LayerMeasure;
use proto::microbatch::Phase;
use proto::spec::graph::INPUT;
use proto::spec::rule::{Coefficients, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use tch::Kind;

fn stage(rule: &RuleSpec, recompute: bool, kind: Kind) -> Stage {
    let layers = under(rule, pooled());
    let (optimizer, optimizer_backward) = (nesterov(0.05, 1e-2), nesterov(0.05, 1e-2));
    let whole = slice(&layers, value(INPUT, &[3, 8, 8]), 0..layers.len());
    build(&StageSpec { optimizer, optimizer_backward, seed: 3, recompute, ..whole }, kind)
}

/// A step of two microbatches, of which the first is compared if `compared`; and what the stage measures after it.
fn step(stage: &mut Stage, compared: bool, kind: Kind) -> Vec<LayerMeasure> {
    for m in [id(0), id(1)] {
        let x = random_f32(&format!("x {}", m.index), &[4, 3, 8, 8]).to_kind(kind);
        let outputs = stage.forward(m, vec![(INPUT.into(), x)], Phase::Train, &mut Whole).unwrap();
        if compared && m.index == 0 {
            stage.compare_signals(m);
        }
        let errors = outputs.iter().map(|(name, y)| {
            (name.clone(), random_f32(&format!("error {}", m.index), &y.size()).to_kind(kind))
        });
        stage.error(m, errors.collect(), &mut Whole).unwrap();
        stage.gradient(m, 8).unwrap();
    }
    stage.update(&mut Whole).unwrap();
    stage.measure().unwrap()
}

fn information_alignment() -> RuleSpec {
    RuleSpec::learned(
        "information_alignment",
        false,
        Coefficients::new(&[(Primitive::Amp, 1e-3), (Primitive::Null, 1e-4)]),
    )
}

fn angles(layers: &[LayerMeasure]) -> Vec<[f64; 2]> {
    layers.iter().map(|layer| [layer.output_angle_deg, layer.error_angle_deg]).collect()
}

#[test]
fn a_comparison_of_signals_changes_no_bit() {
    for (recompute, kind) in [(false, Kind::Float), (true, Kind::Float), (false, Kind::BFloat16)] {
        let run = |compared| {
            let mut stage = stage(&information_alignment(), recompute, kind);
            (0..3).for_each(|_| _ = step(&mut stage, compared, kind));
            stage.state().0.into_iter().map(|(name, tensor)| (name, common::bits(tensor))).collect::<Vec<_>>()
        };
        assert_eq!(run(true), run(false), "recompute {recompute}, {kind:?}");
    }
}

#[test]
fn the_first_microbatch_gives_each_layer_its_angles() {
    let of =
        |recompute, kind| angles(&step(&mut stage(&information_alignment(), recompute, kind), true, kind));
    let found = of(false, Kind::Float);
    assert!(found.len() > 2 && found[0][1].is_nan(), "nothing below the first layer is trained: {found:?}");
    let known = found.iter().flatten().skip(2);
    assert!(known.clone().all(|angle| (20.0..160.0).contains(angle)), "B was drawn without W: {found:?}");
    let same = |other: &[[f64; 2]], by: f64| {
        let pairs = found.iter().flatten().zip(other.iter().flatten());
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= by || a.is_nan() && b.is_nan())
    };
    assert!(same(&of(true, Kind::Float), 0.0), "F again gives the same values");
    assert!(same(&of(false, Kind::BFloat16), 2.0), "{found:?}");
}

#[test]
fn backprop_has_no_angle_and_a_step_without_comparison_has_none_to_tell() {
    let mut transport = stage(&RuleSpec::Backprop, false, Kind::Float);
    let found = angles(&step(&mut transport, true, Kind::Float));
    assert!(found[0][0] == 0.0 && found[0][1].is_nan() && found[1..].iter().all(|two| *two == [0.0; 2]));
    let later = angles(&step(&mut transport, false, Kind::Float));
    assert!(later.iter().flatten().all(|angle| angle.is_nan()), "the angles of the step before: {later:?}");
}
