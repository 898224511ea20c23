//! Tests of recomputation: it changes the tensors that a stage keeps, and no bit of its results.

use crate::common::{self, build, id, lane, nesterov, random_f32, slice, under, value};
use crate::networks::pooled;
use bytes::Bytes;
use layer_node::stage::{Stage, Values, Whole};
use proto::lane::Action;
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::rule::{Coefficients, Primitive, RuleSpec};
use proto::spec::stage::StageSpec;
use std::collections::BTreeMap;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// 1F1B with three microbatches, of which up to two are between F and G.
const LANE: &str = "F0 F1 E0 G0 F2 E1 G1 E2 G2 U";
const SIZES: [i64; 3] = [4, 2, 3];

fn network() -> Vec<LayerSpec> {
    let coefficients = Coefficients::new(&[
        (Primitive::Amp, 1e-3),
        (Primitive::Null, 1e-4),
        (Primitive::Sparse, 1e-3),
        (Primitive::Self_, 2e-2),
        (Primitive::Decay, 1e-2),
    ]);
    under(&RuleSpec::learned("custom", true, coefficients), pooled())
}

/// One of two stages. The skip crosses the cut between them.
fn stage(layers: &[LayerSpec], range: Range<usize>, recompute: bool, kind: Kind) -> Stage {
    let optimizer = nesterov(0.05, 1e-2);
    let spec = StageSpec {
        optimizer: optimizer.clone(),
        optimizer_backward: optimizer,
        seed: 3,
        recompute,
        ..slice(layers, value(INPUT, &[3, 8, 8]), range)
    };
    build(&spec, kind)
}

/// Every output, every error below and every tensor of the state after three steps and an evaluation.
fn bits(below: &mut Stage, above: &mut Stage, kind: Kind) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    let mut note = |name: String, value: &Tensor| {
        found.insert(name, common::bits(value));
    };
    let x = |step: u64, m: MicrobatchId| {
        random_f32(&format!("{step}/{}", m.index), &[SIZES[m.index as usize], 3, 8, 8]).to_kind(kind)
    };
    for step in 0..3 {
        let mut outputs: BTreeMap<MicrobatchId, Values> = BTreeMap::new();
        for &action in lane(LANE).actions() {
            match action {
                Action::Forward(m) => {
                    let middle =
                        below.forward(m, vec![(INPUT.into(), x(step, m))], Phase::Train, &mut Whole).unwrap();
                    let y = above.forward(m, middle, Phase::Train, &mut Whole).unwrap();
                    note(format!("{step} {action}"), &y[0].1);
                    outputs.insert(m, y);
                }
                Action::Error(m) => {
                    let error = outputs.remove(&m).unwrap();
                    let middle = above.error(
                        m,
                        error.iter().map(|(name, y)| (name.clone(), y / 9.0)).collect(),
                        &mut Whole,
                    );
                    let middle = middle.unwrap();
                    assert!(!middle.is_empty());
                    middle.iter().for_each(|(name, error)| note(format!("{step} {action} {name}"), error));
                    below.error(m, middle, &mut Whole).unwrap();
                }
                Action::Gradient(m) => {
                    above.gradient(m, 9).and(below.gradient(m, 9)).unwrap();
                }
                Action::Update(_) => above.update(&mut Whole).and(below.update(&mut Whole)).unwrap(),
            }
        }
    }
    let middle =
        below.forward(id(0), vec![(INPUT.into(), x(9, id(0)))], Phase::Evaluate, &mut Whole).unwrap();
    note("evaluation".into(), &above.forward(id(0), middle, Phase::Evaluate, &mut Whole).unwrap()[0].1);
    for stage in [below, above] {
        stage.state().0.iter().for_each(|(name, tensor)| note(name.clone(), tensor));
    }
    found
}

#[test]
fn a_stage_that_recomputes_has_the_same_bits() {
    let layers = network();
    for (cut, kind) in [(5, Kind::Float), (8, Kind::Float), (10, Kind::Float), (8, Kind::BFloat16)] {
        let run = |recompute: [bool; 2]| {
            let mut below = stage(&layers, 0..cut, recompute[0], kind);
            let mut above = stage(&layers, cut..layers.len(), recompute[1], kind);
            bits(&mut below, &mut above, kind)
        };
        let kept = run([false, false]);
        assert!(kept.keys().any(|name| name == "norm1.running_var") && kept.len() > 50, "{:?}", kept.keys());
        for recompute in [[true, true], [true, false]] {
            let again = run(recompute);
            let differ: Vec<_> = kept.keys().filter(|name| kept[*name] != again[*name]).collect();
            assert!(differ.is_empty(), "cut at {cut}, {recompute:?}, {kind:?}: {differ:?}");
        }
    }
}

/// An abandoned microbatch leaves no tensor behind, and E without F is an error and not a panic.
#[test]
fn what_is_kept_is_dropped_with_an_unfinished_minibatch() {
    let layers = network();
    let mut stage = stage(&layers, 0..layers.len(), true, Kind::Float);
    let x = Tensor::ones([4, 3, 8, 8], (Kind::Float, Device::Cpu));
    stage.forward(id(0), vec![(INPUT.into(), x)], Phase::Train, &mut Whole).unwrap();
    stage.abandon();
    let error = Tensor::ones([4, 5], (Kind::Float, Device::Cpu));
    assert!(stage.error(id(0), vec![("head".into(), error)], &mut Whole).is_err());
}
