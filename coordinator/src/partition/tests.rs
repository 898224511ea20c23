//! Tests of cuts and slices: every kind of cut begins its stages at the right layers, and slices fit together.

use proto::spec::graph::infer_shapes;

use super::*;
use crate::model::zoo::{Options, by_name, names};

fn small(name: &str) -> Network {
    by_name(name, &Options { classes: 10, width: 8, image: 32, ..Options::default() }).unwrap()
}

fn estimator(network: &Network) -> Estimator {
    Estimator::new(network, Workload::default()).unwrap()
}

/// The first layers of the stages.
fn begins(network: &Network, cuts: &Cuts) -> Vec<String> {
    let ranges = cut(network, cuts, &estimator(network), None).unwrap();
    assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!((ranges[0].start, ranges.last().unwrap().end), (0, network.layers.len()));
    assert!(ranges.iter().all(|range| !range.is_empty()));
    ranges.iter().map(|range| network.layers[range.start].name.clone()).collect()
}

#[test]
fn one_stage_per_layer_block_or_name() {
    let resnet = small("resnet18");
    let per_layer = begins(&resnet, &Cuts::PerLayer);
    assert_eq!(per_layer.len(), 21);
    assert_eq!(per_layer[..3], ["conv1", "layer1.0.conv1", "layer1.0.conv2"]);
    assert_eq!(begins(&small("resnet50"), &Cuts::PerBlock).len(), 18);
    assert_eq!(begins(&small("mlp"), &Cuts::PerLayer), ["flatten", "fc2", "fc3"]);
    let named = |names: &[&str]| Cuts::At(names.iter().map(|name| name.to_string()).collect());
    assert_eq!(begins(&resnet, &named(&["fc", "layer3.0.add"])), ["conv1", "layer3.0.add", "fc"]);
    assert_eq!(begins(&resnet, &named(&[])), ["conv1"]);
    assert_eq!(begins(&resnet, &Cuts::Count(7)).len(), 7);
}

#[test]
fn cuts_that_cannot_be_had_are_sentences() {
    let resnet = small("resnet18");
    let refusal = |cuts| cut(&resnet, &cuts, &estimator(&resnet), None).unwrap_err().to_string();
    let at = |names: [&str; 2]| Cuts::At(names.map(String::from).to_vec());
    let unknown = "pipeline.stages names 'layer3.0.con1', which is no layer of the network: \
                   did you mean 'layer3.0.conv1'?";
    assert_eq!(refusal(at(["fc", "layer3.0.con1"])), unknown);
    assert_eq!(refusal(at(["fc", "fc"])), "pipeline.stages names 'fc' twice");
    assert_eq!(refusal(Cuts::Count(0)), "pipeline.stages is 0: a network is cut into at least one stage");
    assert_eq!(
        refusal(Cuts::Count(999)),
        "68 layers are too few for 999 stages: every stage takes at least one"
    );
    let lean = cut(&resnet, &Cuts::Count(3), &estimator(&resnet), Some(130 << 20)).unwrap_err().to_string();
    assert!(
        lean.starts_with("no cut into 3 stages fits into 130 MiB per node: the leanest needs "),
        "{lean}"
    );
}

#[test]
fn a_config_spells_cuts_in_four_ways() {
    let read = |json: &str| serde_json::from_str::<Cuts>(json);
    assert_eq!(read("3").unwrap(), Cuts::Count(3));
    assert_eq!(read("\"per_layer\"").unwrap(), Cuts::PerLayer);
    assert_eq!(read("\"per_block\"").unwrap(), Cuts::PerBlock);
    assert_eq!(read("[\"fc\"]").unwrap(), Cuts::At(vec!["fc".into()]));
    assert_eq!(serde_json::to_string(&Cuts::PerBlock).unwrap(), "\"per_block\"");
    assert!(read("\"each\"").unwrap_err().to_string().starts_with("a number of stages, \"per_layer\""));
}

/// Each slice alone, from its arriving values, has the shapes of the whole network, and sends the values that the
/// next slice takes.
#[test]
fn slices_fit_together_wherever_a_network_is_cut() {
    for name in names() {
        let network = small(name);
        for cuts in [Cuts::PerLayer, Cuts::Count(5), Cuts::Count(network.layers.len() as u32)] {
            let slices =
                slices(&network, &cut(&network, &cuts, &estimator(&network), None).unwrap()).unwrap();
            let shapes = slices.iter().flat_map(|slice| infer_shapes(&slice.inputs, &slice.layers).unwrap());
            assert_eq!(shapes.collect::<Vec<_>>(), network.values().unwrap(), "{name} {cuts:?}");
            for pair in slices.windows(2) {
                let taken = pair[1].inputs.iter().map(|value| &value.name);
                assert!(pair[0].outputs.iter().eq(taken), "{name} {cuts:?}");
            }
            assert_eq!(slices[0].inputs, std::slice::from_ref(&network.input));
            assert_eq!(slices.last().unwrap().outputs, [network.layers.last().unwrap().name.clone()]);
        }
    }
}
