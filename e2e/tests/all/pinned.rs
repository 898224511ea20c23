//! Tests of nodes whose owner pins the one stage that they may become.

use e2e::harm::Hosts;
use e2e::{Bench, Ended, Node, binary};
use std::fs;
use std::process::Command;

const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
max_steps = 3
[rule]
name = "feedback_alignment"
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
"#;

/// Three nodes, each with the pin of its stage.
fn pinned(bench: Bench, config: &str) -> Hosts {
    let planned = bench.ended(&["plan", "--config", config, "--stage-specs", "stages"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(planned.stderr.contains("wrote 3 stages into stages"), "{}", planned.stderr);
    let node = |stage| {
        let file = bench.path(&format!("stages/stage-{stage}.toml"));
        Node::pinned(&bench.path(&format!("host-{stage}")), &file)
    };
    let nodes = (0..3).map(node).collect();
    Hosts { bench, nodes, backward: Vec::new(), tls: Vec::new() }
}

#[test]
fn a_pinned_node_trains_its_run_and_becomes_no_other_stage() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let local = bench.trained(&config, "local", &[]);
    let config = config.to_str().unwrap();
    let mut hosts = pinned(bench, config);
    let train = |hosts: &Hosts, name: &str, more: &[&str]| {
        hosts.ended(&[&["train", "--config", config, "--name", name], more].concat())
    };
    let trained = train(&hosts, "pinned", &[]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let before = hosts.digests();
    assert_eq!(before, local.digests());
    let evaluated = hosts.ended(&["evaluate", "--run", "runs/pinned"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let again = train(&hosts, "again", &[]);
    assert_eq!(again.code, Some(0), "a run of another name has the same stages: {}", again.stderr);

    let refused = |ended: &Ended, difference: &str| {
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        let line = ended.last_line();
        let named = line.contains("this node becomes only the stage in ") && line.contains("/stages/stage-");
        assert!(named && line.contains(difference), "{line}");
    };
    for (name, set, difference) in [
        (
            "rule",
            "rule.name=backprop",
            "rule.name' is \"feedback_alignment\", and the coordinator asks for \"backprop\"",
        ),
        ("rate", "optimizer.lr=0.5", "'optimizer.lr' is 0.1, and the coordinator asks for 0.5"),
        ("seed", "seed=1", "'seed' is 0, and the coordinator asks for 1"),
        ("wire", "network.wire=bf16", "'wire' is \"f32\", and the coordinator asks for \"bf16\""),
        ("cut", "pipeline.stages=[\"sum\", \"down\"]", ", and the coordinator asks for "),
    ] {
        refused(&train(&hosts, name, &["--set", set]), difference);
    }
    let text = fs::read_to_string(config).unwrap();
    let down = "name = \"down\"\nkind = \"conv2d\"\nout = ";
    fs::write(config, text.replace(&format!("{down}8"), &format!("{down}9"))).unwrap();
    refused(&train(&hosts, "wide", &[]), "'layers.down.out' is 8, and the coordinator asks for 9");
    fs::write(config, text).unwrap();
    hosts.nodes.swap(0, 1);
    refused(&train(&hosts, "swapped", &[]), "'index' is ");
    hosts.nodes.swap(0, 1);
    assert_eq!(hosts.idle(), 3);
    // A node whose own stage is the pinned one takes its part in a run that others refuse.
    assert_eq!(train(&hosts, "last", &[]).code, Some(0));
    assert_eq!(hosts.digests(), before);
}

#[test]
fn a_node_does_not_start_with_a_file_that_pins_no_stage() {
    let bench = Bench::new();
    fs::write(bench.path("stage.toml"), "index = 0\nstages = 1\n").unwrap();
    for (file, said) in
        [("stage.toml", "stage.toml pins no stage: missing field `"), ("none.toml", "cannot read ")]
    {
        let mut command = Command::new(binary("layer-node"));
        command.args(["serve", "--stage-spec"]).arg(bench.path(file)).args(["--state-dir", "x"]);
        let ended = Ended::from(command.output().unwrap());
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.last_line().contains(said), "{}", ended.stderr);
    }
}
