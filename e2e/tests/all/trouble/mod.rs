//! When things go wrong: one sentence, the contract's exit code, and no process left behind.

mod files;
mod links;
mod nodes;
mod signals;

use e2e::harm::{CONTRACT, eventually, failed, signal};
use e2e::{Bench, Ended};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KEYS: &str = r#"
[train]
epochs = 100000
batch = 32
[pipeline]
microbatches = 2
stages = "per_layer"
"#;

/// The layer nodes that work in a bench's folder.
fn nodes(bench: &Bench) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-f", &format!("layer-node serve.*{}", bench.path("").display())])
        .output();
    let text = String::from_utf8(output.expect("pgrep").stdout).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Starts an endless run, waits until it trains, does `harm`, and returns how it ended, and how soon.
fn harmed(bench: &Bench, harm: impl FnOnce(u32)) -> (Ended, Duration) {
    let config = bench.config(KEYS);
    let run_dir = bench.path("run");
    let mut command =
        bench.coordinator(&["train", "--local", "--run-dir", run_dir.to_str().unwrap(), "--config"]);
    let child = command.arg(config).stdout(Stdio::piped()).spawn().unwrap();
    let metrics = run_dir.join("metrics.jsonl");
    eventually("the first steps", || metrics.metadata().is_ok_and(|file| file.len() > 4000));
    harm(child.id());
    let begun = Instant::now();
    let ended = child.wait_with_output().unwrap().into();
    (ended, begun.elapsed())
}

#[test]
fn a_killed_node_is_named_and_nothing_stays_behind() {
    let bench = Bench::new();
    let (ended, took) = harmed(&bench, |_| {
        let stage = nodes(&bench).into_iter().find(|process| {
            let line = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
            line.contains("stage-3")
        });
        signal("-KILL", stage.expect("stage 3 runs"));
    });
    failed(&ended, 4, &["error: stage 3 at 127.0.0.1:"]);
    assert!(took < Duration::from_secs(15), "{took:?}");
    eventually("the end of the nodes", || nodes(&bench).is_empty());
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(bench.path("run/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["status"], "failed");
}

#[test]
fn a_stopped_node_is_named_within_fifteen_seconds() {
    let bench = Bench::new();
    let (ended, took) = harmed(&bench, |_| {
        let stage = nodes(&bench).into_iter().find(|process| {
            let line = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
            line.contains("stage-1")
        });
        signal("-STOP", stage.expect("stage 1 runs"));
    });
    failed(&ended, 4, &["error: stage 1 at 127.0.0.1:"]);
    assert!(took < Duration::from_secs(15), "{took:?}");
    eventually("the end of the nodes", || nodes(&bench).is_empty());
}

#[test]
fn an_interrupted_run_saves_and_a_killed_coordinator_leaves_no_node() {
    let bench = Bench::new();
    let (ended, _) = harmed(&bench, |coordinator| signal("-INT", coordinator));
    failed(&ended, 75, &["error: interrupted after step "]);
    assert_eq!(
        std::fs::read_dir(bench.path("run/state/stage-4")).unwrap().count(),
        1,
        "a snapshot was written"
    );
    assert!(nodes(&bench).is_empty());

    let bench = Bench::new();
    let (ended, _) = harmed(&bench, |coordinator| signal("-KILL", coordinator));
    assert_eq!(ended.code, None);
    eventually("the end of the nodes", || nodes(&bench).is_empty());
}

#[test]
fn what_cannot_start_says_why_in_one_sentence() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let config = config.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["train", "--config", config], 2, "--local"),
        (
            &["train", "--config", config, "--local", "--set", "optimizer.momentun=0.5"],
            2,
            "did you mean 'optimizer.momentum'",
        ),
        (&["train", "--config", config, "--local", "--set", "data.path=/nowhere"], 3, "/nowhere"),
        (&["train", "--config", config, "--nodes", "127.0.0.1:1"], 2, "5 stages"),
        (
            &[
                "train",
                "--config",
                config,
                "--nodes",
                "127.0.0.1:1",
                "--set",
                "pipeline.stages=1",
                "--set",
                "network.connect_deadline=1",
            ],
            4,
            "stage 0 at 127.0.0.1:1",
        ),
        (&["check", "--nodes", "127.0.0.1:1", "--deadline", "1"], 4, "127.0.0.1:1"),
    ];
    for (arguments, code, said) in cases {
        let ended = Ended::from(bench.coordinator(arguments).output().unwrap());
        failed(&ended, code, &[said]);
    }
    // Programs that are no node: one talks without end, and one says nothing.
    for (name, program) in [("loud", "exec cat /dev/zero"), ("silent", "exec sleep 1000")] {
        let other = bench.path(name);
        std::fs::write(&other, format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = bench.coordinator(&["train", "--local", "--config", config, "--name", name]);
        let begun = std::time::Instant::now();
        let ended = Ended::from(command.env("NEUROPIL_LAYER_NODE", &other).output().unwrap());
        failed(&ended, 4, &["stage ", "did not become ready", "logs/stage-", other.to_str().unwrap()]);
        assert!(begun.elapsed() < CONTRACT, "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_by_step_and_stage() {
    let bench = Bench::new();
    let ended =
        bench.train(&bench.config(KEYS), "diverged", &["optimizer.lr=1e20", "optimizer.weight_decay=0"]);
    failed(&ended, 1, &["is not finite; stage ", " at 127.0.0.1:", "lower optimizer.lr"]);
}
