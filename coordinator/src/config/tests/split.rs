//! Tests of `pipeline.placement`: the rules that it allows, and the layers that it splits.

use super::{NET, read, set};
use crate::config::Halves;

/// The weight layers of the network under these keys whose W and B are on two hosts.
fn split(sets: &[&str]) -> Result<Vec<String>, String> {
    let network = set(sets)?.network([1, 6, 6]).map_err(|error| error.to_string())?;
    Ok(network.layers.into_iter().filter(|layer| layer.split).map(|layer| layer.name).collect())
}

#[test]
fn exactly_the_rules_that_read_no_w_are_split() {
    let all = |rule: &str| split(&[&format!("rule.name={rule}"), "pipeline.placement=split"]);
    for rule in [
        "feedback_alignment",
        "weight_mirror",
        "information_alignment",
        "activation_alignment",
        "kolen_pollack",
        "product_feedback_alignment",
    ] {
        assert_eq!(all(rule).unwrap(), ["conv1", "middle", "linear1"], "{rule}");
    }
    for rule in ["backprop", "sign_symmetry", "symmetric_alignment"] {
        let why = all(rule).unwrap_err();
        assert!(why.contains(&format!("its rule {rule} reads W for B")), "{why}");
    }
    let custom = |primitive: &str| {
        let primitive = format!("rule.{primitive}=0.1");
        split(&["rule.name=custom", &primitive, "pipeline.placement=split"])
    };
    let why = custom("self").unwrap_err();
    assert!(why.contains("on two hosts, and its rule custom with 'rule.self' reads W for B, which"), "{why}");
    assert!(["amp", "null", "sparse", "decay"].iter().all(|primitive| custom(primitive).is_ok()));
}

#[test]
fn a_list_splits_its_layers_and_asks_nothing_of_the_rules_of_others() {
    let mixed = ["rule.name=kolen_pollack", "rule.layers.middle.name=backprop"];
    let with = |placement: &str| split(&[mixed[0], mixed[1], &format!("pipeline.placement={placement}")]);
    assert_eq!(with("[\"linear1\", \"conv1\"]").unwrap(), ["conv1", "linear1"]);
    assert_eq!(with("together").unwrap(), [""; 0]);
    let why = with("split").unwrap_err();
    assert!(
        why.starts_with("'pipeline.placement' in --set puts W and B of the layer 'middle' on two hosts"),
        "{why}"
    );
    let own = ["rule.name=kolen_pollack", "rule.layers.middle.name=custom", "rule.layers.middle.self=0.1"];
    let why = split(&[own[0], own[1], own[2], "pipeline.placement=split"]).unwrap_err();
    assert!(why.contains("its rule custom with 'rule.layers.middle.self' reads W for B"), "{why}");
    let why = with("[\"conv1\", \"linear1\", \"conv1\"]").unwrap_err();
    assert_eq!(why, "'pipeline.placement' in --set names 'conv1' twice: name every layer once");
    let named = set(&[mixed[0], mixed[1], "pipeline.placement=[\"conv1\"]"]).unwrap();
    assert_eq!(named.pipeline.placement, Halves::Named(vec!["conv1".into()]));
    assert_eq!(read(&named.to_toml().unwrap(), &[]).unwrap(), named);
    let all = set(&["rule.name=kolen_pollack", "pipeline.placement=split"]).unwrap();
    assert_eq!(read(&all.to_toml().unwrap(), &[]).unwrap(), all);
}

#[test]
fn the_layers_of_a_named_model_are_checked_with_its_network() {
    let sets = ["model.name=mlp", "model.width=8", "pipeline.placement=[\"fc9\"]"];
    let why = read("", &sets).unwrap().network([1, 28, 28]).unwrap_err().to_string();
    let due = "'pipeline.placement' in --set names 'fc9', which is no layer with weights of the network";
    assert!(why.starts_with(due), "{why}");
    let text = "[model]\nname = \"mlp\"\nwidth = 8\n[pipeline]\nplacement = [\"fc9\"]\n";
    let why = read(text, &[]).unwrap().network([1, 28, 28]).unwrap_err().to_string();
    assert!(why.starts_with("'pipeline.placement' in net.toml names 'fc9', which is no layer"), "{why}");
    let config = read("", &["model.name=mlp", "pipeline.placement=split"]).unwrap();
    assert!(config.network([1, 28, 28]).unwrap_err().to_string().contains("its rule backprop reads W for B"));
}

#[test]
fn the_alarm_of_kolen_pollack_needs_a_layer_whose_w_and_b_are_on_one_host() {
    let alarm = |placement: &str| {
        let placement = format!("pipeline.placement={placement}");
        read(NET, &["rule.name=kolen_pollack", "alarm.kolen_pollack=true", &placement])
    };
    let why = alarm("split").unwrap_err();
    assert!(
        why.starts_with("'alarm.kolen_pollack' compares B with W, and 'pipeline.placement' puts"),
        "{why}"
    );
    assert!(alarm("[\"conv1\", \"middle\", \"linear1\"]").is_err());
    assert!(alarm("[\"conv1\"]").is_ok() && alarm("together").is_ok());
}
