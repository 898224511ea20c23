//! Tests of placements that cannot be: each is refused in a sentence before any node works.

use e2e::harm::{Hosts, failed};
use e2e::{Bench, Ended};

/// Kolen-Pollack over two stages, both of them split.
const KEYS: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 1
batch = 32
max_steps = 2
[pipeline]
stages = ["classes"]
placement = "split"
"#;

#[test]
fn rules_that_read_w_cannot_be_split_and_the_sentence_says_why() {
    let bench = Bench::new();
    let config = bench.tiny(&KEYS.replace("name = \"kolen_pollack\"", "").replace("[rule]\n", ""));
    for rule in ["backprop", "symmetric_alignment", "sign_symmetry"] {
        let named = format!("rule.name={rule}");
        let ended = bench.train(&config, rule, &[&named]);
        failed(&ended, 2, &["'pipeline.placement'", "'hidden'", rule, "reads W"]);
    }
    let mixed = ["rule.name=custom", "rule.self=0.1", "rule.amp=0.1"];
    failed(&bench.train(&config, "mixed", &mixed), 2, &["custom", "reads W"]);
    let one = ["rule.name=kolen_pollack", "rule.layers.classes.name=backprop"];
    failed(&bench.train(&config, "one", &one), 2, &["'classes'", "backprop", "reads W"]);
}

#[test]
fn a_placement_names_layers_with_weights() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    for (placement, said) in [("[\"hiden\"]", "'hidden'"), ("[\"relu1\"]", "'relu1'"), ("apart", "\"split\"")]
    {
        let set = format!("pipeline.placement={placement}");
        failed(&bench.train(&config, "named", &[&set]), 2, &["'pipeline.placement'", said]);
    }
}

#[test]
fn backward_nodes_are_as_many_as_stages_that_are_split_and_no_other_nodes() {
    let bench = Bench::new();
    let config = bench.tiny(KEYS);
    let config = config.to_str().unwrap();
    let ended = |more: &[&str]| bench.ended(&[&["train", "--config", config], more].concat());
    let two = ["--nodes", "127.0.0.1:1,127.0.0.1:2"];
    let with = |backward: &str, more: &[&str]| ended(&[&two, &["--backward-nodes", backward], more].concat());
    let together = ["--set", "pipeline.placement=together"];
    let cases: [(Ended, &[&str]); 6] = [
        (
            ended(&two),
            &["the B of stages 0 and 1 on hosts of their own", "--backward-nodes HOST:PORT,HOST:PORT"],
        ),
        (with("127.0.0.1:3", &[]), &["--backward-nodes names 1 node", "splits stages 0 and 1"]),
        (
            with("127.0.0.1:3", &together),
            &["--backward-nodes names 1 node", "no layer has its W and B on two hosts"],
        ),
        (with("127.0.0.1:3,127.0.0.1:2", &[]), &["name 127.0.0.1:2 for stage 1 and for stage 1, backward"]),
        (with("127.0.0.1:3,127.0.0.1:71010", &[]), &["stage 1, backward at '127.0.0.1:71010' is no address"]),
        (
            ended(&["--local", "--backward-nodes", "127.0.0.1:3,127.0.0.1:4"]),
            &["--local", "--backward-nodes"],
        ),
    ];
    for (ended, said) in &cases {
        failed(ended, 2, said);
    }
}

#[test]
fn a_backward_node_that_is_not_there_is_named() {
    let hosts = Hosts::new(1);
    let config = hosts.bench.tiny(&KEYS.replace("[\"classes\"]", "1"));
    let arguments = ["train", "--config", config.to_str().unwrap(), "--backward-nodes", "127.0.0.1:1"];
    let ended = hosts.ended(&[&arguments[..], &["--set", "network.connect_deadline=1"]].concat());
    failed(&ended, 4, &["stage 0, backward at 127.0.0.1:1 could not be reached"]);
    assert_eq!(hosts.idle(), 1);
}
