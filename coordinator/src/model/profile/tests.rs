//! Tests of the profile: counts agree with the graph's own functions, and a shared tensor is counted once.

use proto::spec::graph::crossing;
use proto::spec::optimizer::Schedule;
use proto::spec::rule::{Alignment, Centering, Coefficients, Mirror, Noise, Primitive};

use super::*;
use crate::model::zoo::{Options, by_name, names};

fn small(name: &str, rule: RuleSpec) -> Network {
    by_name(name, &Options { classes: 10, width: 4, image: 32, rule, ..Options::default() }).unwrap()
}

#[test]
fn what_crosses_every_cut_is_what_the_graph_says() {
    for name in names() {
        let network = small(name, RuleSpec::Backprop);
        let profile = Profile::new(&network, Precision::F32).unwrap();
        let mut values = network.values().unwrap();
        values.push(network.input.clone());
        let size = |name: &str| values.iter().find(|v| v.name == name).unwrap().shape.iter().product::<u64>();
        for at in (0..=network.layers.len()).step_by(7).chain([network.layers.len()]) {
            let names = crossing(&network.layers, at);
            assert_eq!(
                profile.activations(at),
                names.iter().map(|name| size(name)).sum::<u64>(),
                "{name} at {at}"
            );
            let errors: u64 = names.iter().filter(|name| **name != INPUT).map(|name| size(name)).sum();
            assert_eq!(profile.errors(at), errors, "{name} at {at}");
            let bytes: u64 = names.iter().map(|name| if *name == INPUT { 1 } else { 4 } * size(name)).sum();
            assert_eq!(profile.wired(at, Kind::F32), [bytes, errors * 4], "{name} at {at}");
        }
    }
}

/// conv1 and downsample.0 of a block keep one x, the y of the relu below them: three layers keep it, one layer
/// holds it.
#[test]
fn a_tensor_that_several_layers_keep_is_counted_once() {
    let network = small("resnet18", RuleSpec::Backprop);
    let profile = Profile::new(&network, Precision::F32).unwrap();
    let at = |name: &str| network.layers.iter().position(|layer| layer.name == name).unwrap();
    let [relu, conv, downsample] = ["layer1.1.relu2", "layer2.0.conv1", "layer2.0.downsample.0"].map(at);
    let kept = |layer: usize| profile.layers()[layer].kept[0];
    assert_eq!(kept(relu), Kept { bytes: 4 * 32 * 32 * FLOAT, again: Some(conv) });
    assert_eq!(kept(conv), Kept { again: Some(downsample), ..kept(relu) });
    assert_eq!(kept(downsample), Kept { again: None, ..kept(relu) });
    assert_eq!(profile.layers()[relu].passing, 0);
    assert_eq!(profile.layers()[relu - 1].passing, 4 * 32 * 32 * FLOAT, "nobody keeps a sum");
    let fc = profile.layers().last().unwrap();
    assert_eq!(fc.kept, [Kept { bytes: 32 * FLOAT, again: None }]);
    assert_eq!(profile.layers()[at("avgpool")].kept[0].bytes, 32 * 4 * 4 * FLOAT);
}

/// The extra passes are those of the rule's primitives; the first layer sends no error.
#[test]
fn a_rule_costs_what_its_primitives_compute() {
    let passes = |coefficients: Coefficients, task: bool| {
        let rule = RuleSpec::learned("custom", task, coefficients);
        let profile = Profile::new(&small("mlp", rule), Precision::F32).unwrap();
        let layer = &profile.layers()[3];
        assert_eq!(layer.backward, layer.weights);
        (layer.error_passes, layer.gradient_passes, layer.backward_learns, layer.kept.len())
    };
    let none = Coefficients::default();
    assert_eq!(passes(none, false), (1, 1, false, 1));
    assert_eq!(passes(none, true), (1, 1, true, 1));
    assert_eq!(
        passes(Coefficients::new(&[(Primitive::Self_, 1.0), (Primitive::Decay, 1.0)]), false),
        (1, 1, true, 1)
    );
    assert_eq!(
        passes(Coefficients::new(&[(Primitive::Amp, 1.0), (Primitive::Sparse, 1.0)]), false),
        (1, 3, true, 2)
    );
    assert_eq!(
        passes(
            Coefficients::new(&[(Primitive::Amp, 1.0), (Primitive::Null, 1.0), (Primitive::Decay, 1.0)]),
            false
        ),
        (1, 4, true, 2)
    );
    let first =
        &Profile::new(&small("resnet18", RuleSpec::Backprop), Precision::F32).unwrap().layers()[0].clone();
    assert_eq!((first.error_passes, first.backward), (0, 0));
}

/// Weight mirror computes y and a filter gradient of its noise, here after every second update.
#[test]
fn mirror_steps_cost_what_their_own_batch_does() {
    let mirror = |every| Mirror { noise: Noise::Normal, sigma: 1.0, batch: 6, every, delay: 9 };
    let costs = |every| {
        let alignment = Alignment { mirror: Some(mirror(every)), ..Alignment::default() };
        let coefficients = Coefficients::new(&[(Primitive::Amp, 1.0), (Primitive::Decay, 1.0)]);
        let rule = RuleSpec::Learned { name: "custom".into(), task: false, coefficients, alignment };
        let layer = Profile::new(&small("mlp", rule), Precision::F32).unwrap().layers()[3].clone();
        assert_eq!(layer.gradient_passes, 1, "G of the task is W's alone");
        (layer.mirror_macs, layer.macs)
    };
    let (mirror, macs) = costs(2);
    assert_eq!(mirror, 6 * 2 * macs / 2);
    assert_eq!(costs(0).0, 0, "a delay phase is over before the first update");
}

/// The layers of a rule: who computes which pass, and what crosses.
#[test]
fn the_halves_of_a_layer_share_its_work() {
    let split = |rule: RuleSpec| {
        let mut network = small("mlp", rule);
        network.layers.iter_mut().for_each(|layer| layer.split = layer.op.is_weight());
        let profile = Profile::new(&network, Precision::F32).unwrap();
        (profile.layers()[3].clone(), profile.layers()[3].split.unwrap())
    };
    let learned = |task, coefficients, alignment| RuleSpec::Learned {
        name: "custom".into(),
        task,
        coefficients,
        alignment,
    };
    let amp = Coefficients::new(&[(Primitive::Amp, 1.0)]);
    let (layer, half) = split(learned(true, amp, Alignment::default()));
    let (x, y) = (layer.inputs, layer.output);
    assert_eq!((half.sample, half.error, half.returned, half.noise), (x + y, y, x, 0));
    // amp's filter gradient and W's own, which both hosts then compute.
    assert_eq!((half.gradient_passes, half.shown_passes, half.kept_error), (2, 0, y));
    assert_eq!(layer.gradient_passes, 2, "of which one is W's");
    assert!(layer.kept.iter().all(|kept| kept.bytes != y * FLOAT || x == y), "y goes to the host of B");

    let centred = Alignment { centering: Centering::Batch, ..Alignment::default() };
    let (layer, half) = split(learned(false, amp, centred));
    assert_eq!((half.gradient_passes, half.shown_passes), (1, 1), "W's host computes the y of the centred x");
    assert_eq!(layer.gradient_passes, 1 + 1 + 1);

    let mirror = Mirror { noise: Noise::Normal, sigma: 1.0, batch: 6, every: 2, delay: 0 };
    let (layer, half) =
        split(learned(false, amp, Alignment { mirror: Some(mirror), ..Alignment::default() }));
    assert_eq!((half.sample, half.noise, half.noise_per_update()), (0, 6 * (x + y), 3 * (x + y)));
    assert_eq!((half.gradient_passes, half.shown_passes), (0, 0));
    assert_eq!((layer.mirror_macs, half.shown_mirror_macs), (6 * 2 * layer.macs / 2, 6 * layer.macs / 2));

    let (_, half) = split(learned(false, Coefficients::default(), Alignment::default()));
    assert_eq!((half.sample, half.error, half.returned, half.gradient_passes), (0, y, x, 0));
}

/// R has the work of W for each of its rows, and B that of a dense layer at every position of y.
#[test]
fn a_product_costs_what_its_two_matrices_do() {
    let profile = |ratio, split| {
        let mut network = small(
            "resnet18",
            RuleSpec::Product(Product { ratio, decay: 0.0, schedule: Schedule::default() }),
        );
        network.layers.iter_mut().for_each(|layer| layer.split = split && layer.op.is_weight());
        let profile = Profile::new(&network, Precision::F32).unwrap();
        let layer = profile.layers().iter().filter(|layer| layer.weights > 0).nth(2).unwrap().clone();
        let positions = layer.macs / layer.weights;
        let out = layer.output / positions;
        (layer, out, positions)
    };
    let plain = small("resnet18", RuleSpec::Backprop);
    let plain = Profile::new(&plain, Precision::F32).unwrap();
    let plain = plain.layers().iter().filter(|layer| layer.weights > 0).nth(2).unwrap().clone();
    for ratio in [1, 3] {
        let (layer, out, positions) = profile(ratio as f64, false);
        assert_eq!((layer.backward, layer.fixed), (ratio * layer.weights, ratio * out * out));
        assert_eq!(layer.gradient_macs, ratio * layer.macs);
        assert_eq!(layer.error_macs, ratio * (layer.macs + out * out * positions));
        assert_eq!(
            layer.waiting,
            plain.waiting + ratio * out * positions * FLOAT,
            "the error behind B waits for G"
        );
        assert_eq!((layer.gradient_passes, layer.error_passes, layer.backward_learns), (1, 0, true));
        let (half, ..) = profile(ratio as f64, true);
        assert_eq!(half.waiting, plain.waiting);
        assert_eq!(half.split.unwrap().kept_error, ratio * out * positions);
    }
}

#[test]
fn indices_of_a_max_pooling_take_no_less_under_bf16() {
    let network = by_name("resnet18", &Options { image: 64, ..Options::default() }).unwrap();
    let at = network.layers.iter().position(|layer| matches!(layer.op, Op::MaxPool(_))).unwrap();
    let kept = |precision| {
        let profile = Profile::new(&network, precision).unwrap();
        profile.layers()[at].kept.iter().map(|kept| kept.bytes).collect::<Vec<_>>()
    };
    let (f32, bf16) = (kept(Precision::F32), kept(Precision::Bf16));
    assert_eq!((bf16[0], bf16[1]), (f32[0] / 2, f32[1]));
}
