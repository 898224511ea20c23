//! Tests of the zoo against the papers: known parameter counts, names, planes and blocks.

use proto::spec::graph::{Init, Op, crossing};
use proto::spec::precision::Precision;

use super::*;
use crate::model::profile::Profile;

fn network(name: &str, options: &Options) -> Network {
    by_name(name, options).unwrap_or_else(|| panic!("no {name}"))
}

fn parameters(name: &str) -> u64 {
    let profile = Profile::new(&network(name, &Options::default()), Precision::F32).unwrap();
    profile.layers().iter().map(|layer| layer.parameters).sum()
}

fn shape_of(network: &Network, layer: &str) -> Vec<u64> {
    network.values().unwrap().into_iter().find(|value| value.name == layer).unwrap().shape
}

fn small(name: &str, image: u32) -> Network {
    network(name, &Options { classes: 10, width: 8, image, channels: 1, ..Options::default() })
}

#[test]
fn parameter_counts_are_torchvisions() {
    assert_eq!(parameters("resnet18"), 11_689_512);
    assert_eq!(parameters("resnet34"), 21_797_672);
    assert_eq!(parameters("resnet50"), 25_557_032);
    assert_eq!(parameters("vgg11"), 132_863_336);
}

/// v1 has 25,557,032, 44,549,160 and 60,192,808. Preactivation moves norms from a bottleneck's wide end
/// to its input and drops those of the projections: 3,840 channels fewer, whatever the depth.
#[test]
fn preactivation_has_7680_parameters_fewer() {
    assert_eq!(parameters("resnet50_v2"), 25_557_032 - 7_680);
    assert_eq!(parameters("resnet101_v2"), 44_549_160 - 7_680);
    assert_eq!(parameters("resnet152_v2"), 60_192_808 - 7_680);
}

#[test]
fn every_network_computes_its_classes_at_every_size_of_image() {
    for name in names() {
        for image in [28, 32, 64, 224] {
            let network = small(name, image);
            assert_eq!(network.values().unwrap().last().unwrap().shape, [10], "{name} at {image}");
        }
    }
    assert!(by_name("resnet19", &Options::default()).is_none());
}

#[test]
fn planes_shrink_where_the_paper_shrinks_them() {
    let resnet = network("resnet50", &Options::default());
    assert_eq!(shape_of(&resnet, "maxpool"), [64, 56, 56]);
    assert_eq!(shape_of(&resnet, "layer2.0.conv1"), [128, 56, 56]);
    assert_eq!(shape_of(&resnet, "layer2.0.conv2"), [128, 28, 28]);
    assert_eq!(shape_of(&resnet, "layer4.2.relu3"), [2048, 7, 7]);
    let small = network("resnet18", &Options { image: 32, ..Options::default() });
    assert_eq!(shape_of(&small, "layer1.0.conv1"), [64, 32, 32]);
    let forced = network("resnet18", &Options { stem: Stem::Small, ..Options::default() });
    assert_eq!(shape_of(&forced, "layer1.0.conv1"), [64, 224, 224]);
    let vgg = network("vgg11", &Options::default());
    assert_eq!(shape_of(&vgg, "features.20"), [512, 7, 7]);
    assert_eq!(shape_of(&vgg, "classifier.3"), [4096]);
}

#[test]
fn a_basic_block_is_written_in_torchvisions_names_with_its_projection_before_the_sum() {
    let resnet = small("resnet18", 32);
    let begin = resnet.layers.iter().position(|layer| layer.name == "layer2.0.conv1").unwrap();
    let block: Vec<_> =
        resnet.layers[begin..begin + 9].iter().map(|l| l.name.strip_prefix("layer2.0.").unwrap()).collect();
    assert_eq!(block.join(" "), "conv1 bn1 relu1 conv2 bn2 downsample.0 downsample.1 add relu2");
    let gammas = |name: &str| match resnet.layers.iter().find(|layer| layer.name == name).unwrap().op {
        Op::BatchNorm { eps, momentum, gamma } => [eps, momentum, gamma],
        op => panic!("{op:?}"),
    };
    assert_eq!(gammas("layer2.0.bn2"), [1e-5, 0.1, 0.0]);
    assert_eq!(gammas("layer2.0.bn1"), [1e-5, 0.1, 1.0]);
    assert_eq!(gammas("layer2.0.downsample.1"), [1e-5, 0.1, 1.0]);
}

#[test]
fn last_gamma_is_where_the_last_norm_of_each_block_starts_and_nothing_else() {
    let options = |last_gamma| Options { last_gamma, ..Options::default() };
    for (name, last, blocks) in [("resnet18", "bn2", 8), ("resnet50", "bn3", 16)] {
        let [paper, torchvision] = [0.0, 1.0].map(|gamma| network(name, &options(gamma)).layers);
        let changed: Vec<_> = paper.iter().zip(&torchvision).filter(|(one, other)| one != other).collect();
        assert_eq!(changed.len(), blocks, "{name}");
        for (paper, torchvision) in changed {
            assert!(paper.name.ends_with(last), "{}", paper.name);
            let norm = |gamma| Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma };
            assert_eq!([&paper.op, &torchvision.op], [&norm(0.0), &norm(1.0)]);
        }
    }
    let taking: Vec<_> = names().filter(|name| takes_last_gamma(name)).collect();
    assert_eq!(taking, ["resnet18", "resnet34", "resnet50"]);
}

#[test]
fn only_the_classes_are_drawn_small_and_every_weight_layer_has_the_rule() {
    let rule = RuleSpec::learned("custom", true, Default::default());
    for name in names() {
        let network = network(name, &Options { rule: rule.clone(), ..Options::default() });
        let weights: Vec<_> = network.layers.iter().filter(|layer| layer.op.is_weight()).collect();
        let drawn_small = |op: &Op| matches!(op, Op::Linear { init: Init::Normal(0.01), .. });
        assert!(weights.iter().all(|layer| layer.rule == rule), "{name}");
        assert_eq!(weights.iter().filter(|layer| drawn_small(&layer.op)).count(), 1, "{name}");
        assert!(drawn_small(&weights.last().unwrap().op), "{name}");
    }
}

/// A stem, 8 or 16 residual blocks, and a head; a single value crosses from block to block.
#[test]
fn one_value_crosses_between_blocks() {
    for (name, blocks) in [("resnet18", 10), ("resnet50", 18), ("resnet50_v2", 18), ("vgg11", 6), ("mlp", 3)]
    {
        let network = small(name, 32);
        assert_eq!(network.blocks.len(), blocks, "{name}");
        assert_eq!(network.blocks[0], 0, "{name}");
        for &at in &network.blocks {
            assert_eq!(crossing(&network.layers, at).len(), 1, "{name} at {at}");
        }
    }
}
