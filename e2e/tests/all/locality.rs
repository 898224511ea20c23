//! Tests of `coordinator locality` over real nodes: what it proves, what it refuses, and what it shows.

use e2e::harm::{Hosts, failed};
use e2e::{Bench, Ended};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Kolen-Pollack over two stages.
const TWO: &str = r#"
[rule]
name = "kolen_pollack"
[train]
epochs = 1
batch = 32
[optimizer]
weight_decay = 1e-4
[pipeline]
microbatches = 3
stages = ["classes"]
"#;

/// Proves the locality of a run over local nodes; `more` are further arguments.
fn proven(bench: &Bench, config: &Path, more: &[&str]) -> Ended {
    let config = config.to_str().unwrap();
    bench.ended(&[&["locality", "--local", "--steps", "6", "--config", config], more].concat())
}

/// The findings of a proof that holds.
fn findings(bench: &Bench, config: &Path, more: &[&str]) -> Value {
    let ended = proven(bench, config, &[&["--json", "-"], more].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["violations"], Value::Array(Vec::new()));
    found
}

fn array<'a>(findings: &'a Value, name: &str) -> &'a [Value] {
    findings[name].as_array().unwrap()
}

/// The numbers of messages and the names of the tensors of one direction in one phase.
fn crossed<'a>(findings: &'a Value, from: &str, kind: &str, phase: &str) -> (u64, Vec<&'a str>) {
    let own = |link: &&Value| link["from"] == from && link["kind"] == kind && link["phase"] == phase;
    let link = array(findings, "links").iter().find(own).unwrap();
    let names = link["tensors"].as_array().unwrap().iter().map(|tensor| tensor["name"].as_str().unwrap());
    (link["messages"].as_u64().unwrap(), names.collect())
}

#[test]
fn a_run_over_two_stages_is_proven_and_shown() {
    let bench = Bench::new();
    let config = bench.tiny(TWO);
    let (json, html) = (bench.path("found.json"), bench.path("found.html"));
    let more = ["--json", json.to_str().unwrap(), "--html", html.to_str().unwrap(), "--rules", "local"];
    let ended = proven(&bench, &config, &more);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.starts_with("no weight crossed a link in 6 steps over 2 stages: "), "{}", ended.stdout);
    assert!(last.contains("and no rule read W. Not proven: "), "{last}");
    assert!(std::fs::read_to_string(html).unwrap().contains("No weight crossed a link in 6 steps"));

    let found: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&found["steps"], &found["stages"]), (&6.into(), &2.into()));
    // Six steps of three microbatches, and two evaluations: after the fifth step, which ends an epoch, and after the
    // last step, each of 53 samples in two minibatches.
    assert_eq!(crossed(&found, "coordinator", "activation", "train"), (18, vec!["input"]));
    assert_eq!(crossed(&found, "coordinator", "error_signal", "train"), (18, vec!["classes"]));
    assert_eq!(crossed(&found, "stage 0", "error_signal", "train"), (18, vec![]), "done");
    assert_eq!(crossed(&found, "stage 1", "activation", "evaluate"), (12, vec!["classes"]));
    assert_eq!((array(&found, "links").len(), array(&found, "consumed").len()), (9, 6));
    let kinds: BTreeSet<&str> =
        array(&found, "control").iter().map(|record| record["message"].as_str().unwrap()).collect();
    let every = [
        "audit",
        "configure",
        "configured",
        "describe",
        "description",
        "lane",
        "ledger",
        "snapshot",
        "snapshot_done",
        "start",
        "started",
        "step",
    ];
    assert_eq!(kinds, every.into());
    let read: Vec<&Value> = array(&found, "layers").iter().map(|layer| &layer["read"]).collect();
    assert_eq!(read, [&serde_json::json!(["x", "error", "B"]); 2]);
}

/// The skip spans both cuts between stages.
#[test]
fn a_residual_network_is_proven_under_every_schedule_and_in_another_number_format() {
    let bench = Bench::new();
    let config = bench.config(&TWO.replace("[\"classes\"]", "[\"branch2\", \"sum\"]"));
    for schedule in ["gpipe", "one_f_one_b", "zero_bubble"] {
        let set = format!("pipeline.schedule={schedule}");
        let found = findings(&bench, &config, &["--set", &set, "--set", "network.wire=bf16"]);
        let up = crossed(&found, "stage 0", "activation", "train");
        assert_eq!(up, (18, vec!["stem_relu", "branch1_relu"]), "{schedule}");
        assert_eq!(crossed(&found, "stage 1", "error_signal", "train").1, up.1, "{schedule}");
        assert_eq!(crossed(&found, "stage 1", "activation", "evaluate").1, ["stem_relu", "branch2"]);
        let formats = array(&found, "links").iter().flat_map(|link| link["tensors"].as_array().unwrap());
        let due = |tensor: &Value| if tensor["name"] == "input" { "u8" } else { "bf16" };
        assert!(formats.into_iter().all(|tensor| tensor["format"] == due(tensor)));
    }
}

/// Mirror steps cross no link; their commands and reports are counted.
#[test]
fn a_rule_with_noise_of_its_own_is_proven_with_its_delay_phase() {
    let bench = Bench::new();
    let sets = ["--rules", "local", "--set", "rule.name=weight_mirror", "--set", "rule.mirror_delay=30"];
    let keys = TWO.replace("name = \"kolen_pollack\"", "").replace("[rule]\n", "");
    let found = findings(&bench, &bench.tiny(&keys), &sets);
    let aligned = array(&found, "control").iter().find(|record| record["message"] == "aligned").unwrap();
    assert_eq!(aligned["messages"], 2);
}

#[test]
fn rules_that_read_w_are_refused_with_their_reasons_where_only_local_ones_are_allowed() {
    let bench = Bench::new();
    let keys = TWO.replace("name = \"kolen_pollack\"", "").replace("[rule]\n", "");
    let config = bench.tiny(&keys);
    for (rule, why) in [
        ("backprop", "its B is W itself"),
        ("symmetric_alignment", "its primitive self, with coefficient 0.002, pulls B to W"),
        ("sign_symmetry", "it gives B the signs of W"),
    ] {
        let set = format!("rule.name={rule}");
        let ended = proven(&bench, &config, &["--rules", "local", "--set", &set]);
        let begins =
            format!("error: stage 0, rule {rule}, hidden: the rule reads W, which --rules local forbids: ");
        failed(&ended, 5, &[&begins, why, "; and 1 more violation"]);
        assert!(ended.stdout.ends_with("locality is not proven: 2 violations\n"), "{}", ended.stdout);
        let declared = proven(&bench, &config, &["--set", &set]);
        assert_eq!(declared.code, Some(0), "{rule} reads what it declares: {}", declared.stderr);
    }
}

#[test]
fn nodes_by_hand_are_proven_and_take_another_run_afterwards() {
    let hosts = Hosts::new(2);
    let config = hosts.bench.tiny(TWO);
    let config = config.to_str().unwrap();
    for _ in 0..2 {
        let proven = hosts.ended(&["locality", "--config", config, "--steps", "2"]);
        assert_eq!(proven.code, Some(0), "{}", proven.stderr);
    }
    let trained = hosts.ended(&["train", "--config", config, "--name", "run"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    assert_eq!(hosts.idle(), 2);
}

/// Whatever else goes wrong keeps its exit code.
#[test]
fn a_proof_that_cannot_be_made_ends_as_a_run_does() {
    let bench = Bench::new();
    let config = bench.tiny(TWO);
    let config = config.to_str().unwrap();
    let ended = |more: &[&str]| bench.ended(&[&["locality", "--config", config], more].concat());
    failed(&ended(&[]), 2, &["--local", "--nodes"]);
    failed(&ended(&["--local", "--steps", "0"]), 2, &["--steps"]);
    failed(&ended(&["--local", "--rules", "loca"]), 2, &["loca", "local"]);
    failed(&ended(&["--local", "--set", "data.path=nowhere"]), 3, &["nowhere"]);
    let nobody = "127.0.0.1:1,127.0.0.1:2";
    failed(
        &ended(&["--nodes", nobody, "--set", "network.connect_deadline=0.5"]),
        4,
        &["stage 0 at 127.0.0.1:1"],
    );
    failed(&ended(&["--nodes", "127.0.0.1:1"]), 2, &["--nodes names 1 node"]);
}
