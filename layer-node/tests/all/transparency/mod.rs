//! Tests of transparency: networks in one stage and in many, on every lane, train to the same bits.

mod autograd;
mod lanes;
mod training;

use crate::common::{bits, finite, under};
use crate::networks::{plain, residual, tangled};
use bytes::Bytes;
use lanes::{ORDERS, Order, gpipe};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::optimizer::Schedule;
use proto::spec::precision::Precision;
use proto::spec::rule::{Coefficients, Primitive, Product, RuleSpec};
use proto::tensor::Block;
use std::collections::BTreeMap;
use tch::Kind;
use training::{DECAY, Formats, initial, run, stages};

const STEPS: u64 = 3;

fn rules() -> [RuleSpec; 6] {
    let none = Coefficients::default();
    let all = Coefficients::new(&[
        (Primitive::Amp, 1e-3),
        (Primitive::Null, 1e-4),
        (Primitive::Sparse, 1e-3),
        (Primitive::Self_, 2e-2),
        (Primitive::Decay, 1e-2),
    ]);
    [
        RuleSpec::Backprop,
        RuleSpec::learned("feedback_alignment", false, none),
        RuleSpec::learned(
            "symmetric_alignment",
            false,
            Coefficients::new(&[(Primitive::Self_, 2e-2), (Primitive::Decay, 1e-2)]),
        ),
        RuleSpec::learned("kolen_pollack", true, Coefficients::new(&[(Primitive::Decay, DECAY / 2.0)])),
        RuleSpec::Product(Product { ratio: 1.0, decay: DECAY / 2.0, schedule: Schedule::default() }),
        RuleSpec::learned("custom", true, all),
    ]
}

/// The bits of every tensor of the state, and of every output on the way, after `STEPS` steps in `formats`, with `at_once`
/// steps in each lane.
fn trained(
    layers: &[LayerSpec],
    cuts: &[usize],
    order: Order,
    at_once: u64,
    formats: Formats,
) -> BTreeMap<String, Bytes> {
    let mut stages = stages(layers, cuts, formats.kind());
    let mut found = BTreeMap::new();
    for now in (0..STEPS).step_by(at_once as usize) {
        let outputs = run(&mut stages, order, now..STEPS.min(now + at_once), formats);
        found.extend(outputs.iter().map(|(m, y)| (format!("y of {m}"), bits(y))));
    }
    for stage in &mut stages {
        for (name, tensor) in stage.state().0 {
            assert!(finite(tensor), "{name} has left the numbers");
            found.insert(name, bits(tensor));
        }
    }
    found
}

/// All ways to cut `layers` layers into stages.
fn all_cuts(layers: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..1u32 << (layers - 1)).map(move |set| (1..layers).filter(|cut| set >> (cut - 1) & 1 == 1).collect())
}

/// Trains `layers` in one stage, and cut by each of `cuts`, on lanes of every order in turn, which span one step or
/// several. All runs must reach the same bits, under every rule.
fn check(layers: Vec<LayerSpec>, cuts: impl Fn() -> Vec<Vec<usize>>) {
    let mut runs = 0;
    for rule in rules() {
        let layers = under(&rule, layers.clone());
        let uncut = trained(&layers, &[], gpipe, 1, Formats::F32);
        let seeds: BTreeMap<_, _> =
            initial(&layers, Kind::Float).into_iter().map(|(name, tensor)| (name, bits(&tensor))).collect();
        let still: Vec<_> = seeds.keys().filter(|name| uncut[*name] == seeds[*name]).collect();
        let fixed = |name: &String| match rule.name() {
            "feedback_alignment" => name.contains("_backward"),
            _ => name.ends_with(".feedback"),
        };
        assert!(still.iter().all(|name| fixed(name)), "{} leaves {still:?} as drawn", rule.name());
        for (i, cuts) in cuts().into_iter().enumerate() {
            let (lane, order) = ORDERS[i % ORDERS.len()];
            let at_once = [1, 2, STEPS][i / ORDERS.len() % 3];
            let cut = trained(&layers, &cuts, order, at_once, Formats::F32);
            let same = |name: &&String| cut.get(*name) != uncut.get(*name);
            let differ: Vec<_> = uncut.keys().chain(cut.keys()).filter(same).collect();
            assert!(
                differ.is_empty(),
                "{} cut at {cuts:?}, {lane}, {at_once} steps in a lane: {differ:?}",
                rule.name()
            );
            runs += 1;
        }
    }
    println!("{runs} cut runs, all with the bits of the uncut one");
}

#[test]
fn a_plain_network_cut_anywhere() {
    let layers = plain();
    let n = layers.len();
    check(layers, || all_cuts(n).collect());
}

#[test]
fn a_tangled_network_cut_anywhere() {
    let layers = tangled();
    let n = layers.len();
    check(layers, || all_cuts(n).collect());
}

/// One cut at every place, and the cut at all places at once, each on every order of lanes.
#[test]
fn a_residual_network_cut_anywhere() {
    let layers = residual(INPUT, [8, 16], 10);
    let n = layers.len();
    let cuts = || (1..n).map(|cut| vec![cut]).chain([(1..n).collect()]);
    check(layers, || cuts().flat_map(|cuts| vec![cuts; ORDERS.len()]).collect());
}

/// Every number that crosses is one of bf16, so that links in bf16 and in f32 carry the same values. The coordinator's
/// error is rounded by its link, or else by the stage.
#[test]
fn in_bf16_too_whichever_format_the_links_have() {
    use proto::tensor::Kind::{Bf16, F32};
    for network in [residual(INPUT, [8, 16], 10), tangled()] {
        let n = network.len();
        for rule in rules() {
            let layers = under(&rule, network.clone());
            let run = |cuts: &[usize], (order, at_once), wire| {
                trained(&layers, cuts, order, at_once, Formats(Precision::Bf16, wire))
            };
            let uncut = run(&[], (gpipe, 1), F32);
            let one = (1..n).map(|cut| (vec![cut], [F32, Bf16][cut % 2]));
            let many =
                [F32, Bf16].into_iter().flat_map(|wire| [((1..n).collect(), wire), (Vec::new(), wire)]);
            for (i, (cuts, wire)) in one.chain(many).enumerate() {
                let (lane, order) = ORDERS[i % ORDERS.len()];
                let cut = run(&cuts, (order, [1, STEPS][i % 2]), wire);
                assert!(cut == uncut, "{} cut at {cuts:?}, {lane}, links in {wire}", rule.name());
            }
        }
    }
}

/// Numbers are rounded to 8 bits at the cuts alone, and no sample's numbers depend on another's. The bits therefore follow
/// from the places of the cuts, whatever the lanes are. A network in one stage has the bits of links in f32.
#[test]
fn in_8_bits_by_the_places_of_the_cuts_alone() {
    use proto::tensor::Kind::{F32, Int8};
    let wire = Int8(Block::Of32);
    let network = residual(INPUT, [8, 16], 10);
    let n = network.len();
    for rule in rules() {
        let layers = under(&rule, network.clone());
        let run = |cuts: &[usize], (order, at_once), wire| {
            trained(&layers, cuts, order, at_once, Formats(Precision::F32, wire))
        };
        let uncut = run(&[], (gpipe, 1), F32);
        assert!(run(&[], (gpipe, STEPS), wire) == uncut, "{}: only logits cross", rule.name());
        for cuts in [vec![n / 2], (1..n).collect()] {
            let due = run(&cuts, (gpipe, 1), wire);
            assert!(due != uncut, "{} cut at {cuts:?}: nothing was rounded", rule.name());
            for (i, (lane, order)) in ORDERS.into_iter().enumerate() {
                let cut = run(&cuts, (order, [STEPS, 2, 1][i % 3]), wire);
                assert!(cut == due, "{} cut at {cuts:?}, {lane}, links in {wire}", rule.name());
            }
        }
    }
}
