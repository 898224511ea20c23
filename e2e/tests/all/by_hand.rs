//! Tests with nodes started by hand, as on three hosts: check, train, evaluate, train again.

use e2e::harm::{Hosts, saving, signal};

const KEYS: &str = r#"
[train]
epochs = 1
batch = 32
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
"#;

#[test]
fn three_nodes_by_hand_train_what_local_ones_train() {
    let hosts = Hosts::new(3);
    let bench = &hosts.bench;
    let config = bench.config(KEYS);
    let local = bench.trained(&config, "local", &[]);
    let config = config.to_str().unwrap();
    let run = |arguments: &[&str]| hosts.ended(arguments);

    let checked = run(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_eq!(checked.stdout.matches("idle").count(), 3, "{}", checked.stdout);

    let trained = run(&["train", "--config", config, "--name", "hand"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    assert_eq!(hosts.digests(), local.digests());

    let evaluated = run(&["evaluate", "--run", "runs/hand", "--json"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let found: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(found["test_top1"], bench.run("hand").summary()["test_top1"]);
    assert_eq!(found["samples"], 53);

    // The same nodes take another run. They keep the first run's state, and do not use it.
    let again = run(&["train", "--config", config, "--name", "again", "--set", "seed=1"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let first = bench.run("hand").json("run.json")["id"].as_str().unwrap().to_owned();
    let said = format!("keeps the state of run {first} (up to step 5): this run uses none of it");
    assert_eq!(again.stderr.matches(&said).count(), 3, "{}", again.stderr);
    assert_ne!(hosts.digests(), local.digests());
    assert!((0..3).all(|host| bench.path(&format!("host-{host}/previous")).is_dir()));
    let reused = run(&["train", "--config", config, "--name", "again"]);
    assert_eq!(reused.code, Some(2), "{}", reused.stderr);
    assert!(reused.last_line().contains("runs/again"), "{}", reused.stderr);
}

#[test]
fn runs_that_take_turns_on_the_same_nodes_both_go_on() {
    let hosts = Hosts::new(2);
    let keys = saving(20).replace("[\"branch2\", \"down\"]", "[\"down\"]");
    let bench = &hosts.bench;
    let undisturbed = bench.trained(&bench.config(&keys), "undisturbed", &[]);
    let config = bench.path("config.toml");
    let train = |name: &str, more: &[&str]| {
        let arguments = ["train", "--config", config.to_str().unwrap(), "--name", name];
        let ended = hosts.ended(&[&arguments[..], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    };
    let first = hosts.training(&keys, "first").wait_for_steps(31);
    first.signal("-INT");
    assert_eq!(first.ended().code, Some(75));
    train("second", &["--set", "seed=1", "--set", "train.max_steps=9"]);

    let resumed = train("first", &["--resume", "auto"]);
    assert!(resumed.stderr.contains("going on after step"), "{}", resumed.stderr);
    let first = hosts.digests();
    assert_eq!(first, undisturbed.digests());
    assert_eq!(bench.run("first").history(), undisturbed.history());

    // The nodes go back to the other run for an evaluation.
    let evaluated = hosts.ended(&["evaluate", "--run", "runs/second", "--json"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let found: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(found["test_top1"], bench.run("second").summary()["test_top1"]);
    assert_ne!(hosts.digests(), first);
    let aside = format!("host-0/previous/{}", bench.run("first").json("run.json")["id"].as_str().unwrap());
    assert!(bench.path(&aside).is_dir());
}

#[test]
fn a_terminated_node_leaves_its_state_as_of_the_last_update() {
    let mut hosts = Hosts::new(1);
    let keys = KEYS.replace("[\"branch2\", \"down\"]", "1").replace("epochs = 1", "epochs = 100000");
    let coordinator = hosts.training(&keys, "cut-short");
    signal("-TERM", hosts.nodes[0].child.id());
    assert_eq!(hosts.nodes[0].child.wait().unwrap().code(), Some(143));
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.last_line().contains("stage 0"), "{}", ended.stderr);
    let kept = hosts.digests();
    assert!(kept.contains_key("stem.weight_backward") || kept.contains_key("stem.weight"));
}
