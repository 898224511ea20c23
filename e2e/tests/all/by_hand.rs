//! Nodes started by hand, as on three hosts: check, train, evaluate, train again.

use e2e::harm::{Hosts, eventually, saving, signal};
use e2e::{Bench, Ended, Node, digest};

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
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let local = bench.trained(&config, "local", &[]);
    let states: Vec<_> = (0..3).map(|stage| bench.path(&format!("host-{stage}"))).collect();
    let nodes: Vec<_> = states.iter().map(|state| Node::start(state)).collect();
    let addresses: Vec<_> = nodes.iter().map(|node| node.address("control")).collect();
    let addresses = addresses.join(",");
    let config = config.to_str().unwrap();
    let run = |arguments: &[&str]| -> Ended {
        bench.coordinator(&[arguments, &["--nodes", &addresses]].concat()).output().unwrap().into()
    };

    let checked = run(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_eq!(checked.stdout.matches("idle").count(), 3, "{}", checked.stdout);

    let trained = run(&["train", "--config", config, "--name", "hand"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let digests =
        || states.iter().flat_map(|state| digest(state)).collect::<std::collections::BTreeMap<_, _>>();
    assert_eq!(digests(), local.digests());

    let evaluated = run(&["evaluate", "--run", "runs/hand", "--json"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let found: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(found["test_top1"], bench.run("hand").summary()["test_top1"]);
    assert_eq!(found["samples"], 53);

    // The same nodes take another run; the first one's state is kept, and not reused.
    let again = run(&["train", "--config", config, "--name", "again", "--set", "seed=1"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_ne!(digests(), local.digests());
    assert!(states.iter().all(|state| state.join("previous").is_dir()));
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
    let first = hosts.training(&keys, "first");
    eventually("some snapshots", || bench.run("first").steps() > 30);
    signal("-INT", first.id());
    assert_eq!(Ended::from(first.wait_with_output().unwrap()).code, Some(75));
    train("second", &["--set", "seed=1", "--set", "train.max_steps=9"]);

    let resumed = train("first", &["--resume", "auto"]);
    assert!(resumed.stderr.contains("going on after step"), "{}", resumed.stderr);
    let digests = || (0..2).flat_map(|host| digest(&bench.path(&format!("host-{host}")))).collect();
    let first: std::collections::BTreeMap<_, _> = digests();
    assert_eq!(first, undisturbed.digests());
    assert_eq!(bench.run("first").history(), undisturbed.history());

    // And back again, to look at the other one.
    let evaluated = hosts.ended(&["evaluate", "--run", "runs/second", "--json"]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let found: serde_json::Value = serde_json::from_str(&evaluated.stdout).unwrap();
    assert_eq!(found["test_top1"], bench.run("second").summary()["test_top1"]);
    assert_ne!(digests(), first);
    let aside = format!("host-0/previous/{}", bench.run("first").json("run.json")["id"].as_str().unwrap());
    assert!(bench.path(&aside).is_dir());
}

#[test]
fn a_terminated_node_leaves_its_state_as_of_the_last_update() {
    let bench = Bench::new();
    let config = bench.config(&KEYS.replace("[\"branch2\", \"down\"]", "1"));
    let config = config.to_str().unwrap();
    let state = bench.path("state");
    let mut node = Node::start(&state);
    let arguments = [
        "train",
        "--config",
        config,
        "--name",
        "cut-short",
        "--set",
        "train.epochs=100000",
        "--nodes",
        node.address("control"),
    ];
    let coordinator = bench.coordinator(&arguments).spawn().unwrap();
    while bench.run("cut-short").folder.join("metrics.jsonl").metadata().map_or(0, |file| file.len()) < 2000 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let term =
        std::process::Command::new("kill").args(["-TERM", &node.child.id().to_string()]).status().unwrap();
    assert!(term.success());
    assert_eq!(node.child.wait().unwrap().code(), Some(143));
    let ended = Ended::from(coordinator.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.last_line().contains("stage 0"), "{}", ended.stderr);
    assert!(
        digest(&state).contains_key("stem.weight_backward") || digest(&state).contains_key("stem.weight")
    );
}
