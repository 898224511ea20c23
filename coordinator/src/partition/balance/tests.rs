//! Tests of the balance against the best of all cuts.

use std::ops::Range;

use proto::spec::graph::Value;
use proto::spec::graph::{INPUT, Init, LayerSpec, Op};
use proto::spec::rule::RuleSpec;

use super::*;
use crate::model::zoo::{Options, by_name};
use crate::partition::{LayerTime, Rates, Workload};

fn resnet() -> Network {
    by_name("resnet18", &Options { classes: 10, width: 8, image: 32, ..Options::default() }).unwrap()
}

fn estimator(network: &Network) -> Estimator {
    Estimator::new(network, Workload::default()).unwrap()
}

/// A small graph with skips, drawn from `seed`: convolutions of 2 to 9 channels, norms, relus, and sums
/// with any earlier value of the same shape.
fn drawn(seed: u64) -> Network {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut values = vec![(INPUT.to_string(), 3u32)];
    let mut layers = Vec::new();
    for i in 0..4 + below(6) {
        let (top, channels) = values.last().cloned().unwrap();
        let same: Vec<String> =
            values.iter().rev().skip(1).filter(|v| v.1 == channels).map(|v| v.0.clone()).collect();
        let out = 2 + below(3) as u32 * 3;
        let (inputs, op, channels) = match below(6) {
            0 | 1 if !same.is_empty() => (vec![top, same[below(same.len())].clone()], Op::Add, channels),
            2 => (vec![top], Op::Relu, channels),
            3 => (vec![top], Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 }, channels),
            _ => (
                vec![top],
                Op::Conv2d { out, kernel: 3, stride: 1, padding: 1, bias: false, init: Init::FanIn },
                out,
            ),
        };
        let name = format!("l{i}");
        values.push((name.clone(), channels));
        layers.push(LayerSpec { name, inputs, op, rule: RuleSpec::Backprop, split: false });
    }
    Network { input: Value { name: INPUT.into(), shape: vec![3, 8, 8] }, layers, blocks: vec![0] }
}

/// All cuts of the layers from `start` on, up to `layers`, into `stages` stages.
fn every_cut(start: usize, layers: usize, stages: usize) -> Vec<Stages> {
    if stages == 1 {
        return vec![std::iter::once(start..layers).collect()];
    }
    let above = |end| every_cut(end, layers, stages - 1).into_iter();
    let with_first = |end| above(end).map(move |rest| std::iter::once(start..end).chain(rest).collect());
    (start + 1..=layers - (stages - 1)).flat_map(with_first).collect()
}

/// The balanced cut must be within 10 % of the best cut. The optimum is the best cut, and the balanced cut is
/// within its slack.
#[test]
fn the_balance_is_the_best_of_all_cuts_with_and_without_a_limit_on_memory() {
    let mut limited = 0;
    for (seed, stages) in (0..60).flat_map(|seed| [(seed, 2), (seed, 3), (seed, 4)]) {
        let network = drawn(seed);
        let estimator = estimator(&network);
        let held: Vec<Held> = estimator.workload().lanes(stages).unwrap().iter().map(Held::of).collect();
        let worst = |ranges: &[Range<usize>]| {
            let stages = ranges.iter().zip(&held).map(|(range, held)| estimator.stage(range.clone(), held));
            stages.fold((0.0, 0), |(s, b), stage| (stage.seconds.max(s), stage.memory.total().max(b)))
        };
        let all: Vec<(f64, u64)> =
            every_cut(0, network.layers.len(), stages as usize).iter().map(|c| worst(c)).collect();
        let least = all.iter().map(|cut| cut.1).min().unwrap();
        assert_eq!(leanest(&estimator, stages).unwrap(), least);
        let tight = least + (all.iter().map(|cut| cut.1).max().unwrap() - least) / 4;
        for memory in [None, Some(tight), Some(least)] {
            let allowed = all.iter().filter(|cut| memory.is_none_or(|limit| cut.1 <= limit));
            let best = allowed.map(|cut| cut.0).fold(f64::INFINITY, f64::min);
            assert_eq!(
                optimum(&estimator, stages, memory).unwrap().0,
                best,
                "{network:?} {stages} {memory:?}"
            );
            let taken = worst(&balanced(&network, &estimator, stages, memory).unwrap());
            assert!(taken.0 <= best * (1.0 + SLACK) && memory.is_none_or(|limit| taken.1 <= limit));
            limited += usize::from(
                taken.0 > all.iter().map(|cut| cut.0).fold(f64::INFINITY, f64::min) * (1.0 + SLACK),
            );
        }
        assert!(optimum(&estimator, stages, Some(least - 1)).is_err());
    }
    assert!(limited > 20, "the limit on memory decided only {limited} cuts");
}

/// If compute is free, only bytes count: the cut goes where the fewest bytes cross.
#[test]
fn a_slow_link_moves_the_cut_to_where_least_crosses() {
    let network = resnet();
    let rates = Rates { link: "1Mbit/s".parse().unwrap(), ..Rates::default() };
    let slow = Estimator::new(&network, Workload { rates, ..Workload::default() }).unwrap();
    let first = |ranges: Vec<Range<usize>>| network.layers[ranges[1].start].name.clone();
    assert_eq!(first(balanced(&network, &slow, 2, None).unwrap()), "fc");
    let fast = first(balanced(&network, &estimator(&network), 2, None).unwrap());
    assert!(fast.starts_with("layer"), "{fast}");
}

/// Measured times replace assumed rates.
#[test]
fn measured_times_rebalance() {
    let network = resnet();
    let last = network.layers.len() - 1;
    let mut times = vec![LayerTime { forward: 1e-6, ..LayerTime::default() }; last + 1];
    times[last - 1].forward = 1.0;
    times[last].forward = 1.0;
    let measured = estimator(&network).measured(times).unwrap();
    assert_eq!(balanced(&network, &measured, 2, None).unwrap()[1], last..last + 1);
    assert!(estimator(&network).measured(vec![]).is_err());
}
