//! Tests of failures: each gives one sentence and the contract's exit code, and leaves no process behind.

mod asked;
mod files;
mod limits;
mod links;
mod memory;
mod nodes;
mod signals;
mod surroundings;

use e2e::harm::{CONTRACT, eventually, failed, node, signal};
use e2e::{Bench, Coordinator, Ended};
use std::time::Instant;

const KEYS: &str = r#"
[train]
epochs = 100000
batch = 32
[pipeline]
microbatches = 2
stages = "per_layer"
"#;

/// An endless run that trains.
fn training(bench: &Bench) -> Coordinator {
    bench.start("harmed", &bench.config(KEYS), &["--local"]).wait_for_steps(5)
}

/// Sends a signal to a stage of an endless run, and returns the run's end. The run must end soon and leave no node.
fn harmed(bench: &Bench, harm: &str, stage: usize) -> Ended {
    let coordinator = training(bench);
    let state = coordinator.run.folder.join(format!("state/stage-{stage}"));
    signal(harm, node(&state).expect("the stage runs"));
    let begun = Instant::now();
    let ended = coordinator.ended();
    assert!(begun.elapsed() < CONTRACT, "{:?}", begun.elapsed());
    eventually("the end of the nodes", || node(&bench.path("")).is_none());
    ended
}

#[test]
fn a_killed_node_is_named_and_nothing_stays_behind() {
    let bench = Bench::new();
    failed(&harmed(&bench, "-KILL", 3), 4, &["error: stage 3 at unix:/"]);
    assert_eq!(bench.run("harmed").summary()["status"], "failed");
}

#[test]
fn a_stopped_node_is_named_within_fifteen_seconds() {
    failed(&harmed(&Bench::new(), "-STOP", 1), 4, &["error: stage 1 at unix:/"]);
}

#[test]
fn an_interrupted_run_saves_and_a_killed_coordinator_leaves_no_node() {
    let bench = Bench::new();
    let coordinator = training(&bench);
    coordinator.signal("-INT");
    failed(&coordinator.ended(), 75, &["error: interrupted after step "]);
    let state = bench.run("harmed").folder.join("state/stage-4");
    assert_eq!(state.read_dir().unwrap().count(), 1, "a snapshot was written");
    assert_eq!(node(&bench.path("")), None);

    let bench = Bench::new();
    training(&bench).kill();
    eventually("the end of the nodes", || node(&bench.path("")).is_none());
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
        failed(&bench.ended(arguments), code, &[said]);
    }
    // Two programs that are not nodes: the first writes without end, and the second stays silent.
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
    failed(&ended, 1, &["is not finite; stage ", " at unix:/", "lower optimizer.lr"]);
}
