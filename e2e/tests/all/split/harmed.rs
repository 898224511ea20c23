//! Tests of backward nodes that are killed or stopped, and of runs over them that are interrupted: the failure names the
//! backward node, and whatever happened, the run ends in the bits of an undisturbed one.

use crate::resume::same;
use e2e::harm::{CONTRACT, eventually, failed, node, saving, signal};
use e2e::{Bench, Coordinator, Ended};
use std::path::Path;
use std::time::{Duration, Instant};

/// A run of 80 steps over two stages, both of them split.
fn keys() -> String {
    let split = saving(8).replace("symmetric_alignment", "kolen_pollack");
    split.replace("[\"branch2\", \"down\"]", "[\"down\"]\nplacement = \"split\"")
}

fn start(bench: &Bench, config: &Path, name: &str, more: &[&str]) -> Coordinator {
    bench.start(name, config, &[&["--local"], more].concat())
}

/// The process of a half of a stage.
fn half(bench: &Bench, run: &str, folder: &str) -> u32 {
    node(&bench.run(run).folder.join("state").join(folder)).expect("a node")
}

#[test]
fn however_a_split_run_is_disturbed_it_ends_in_the_same_bits() {
    let bench = Bench::new();
    let config = bench.config(&keys());
    let undisturbed = bench.trained(&config, "undisturbed", &[]);

    // Nodes of both halves are killed, and the run continues by itself.
    let mut coordinator = start(&bench, &config, "restarted", &["--restarts", "2"]);
    for (folder, at) in [("stage-1-backward", 10), ("stage-0", 40)] {
        coordinator = coordinator.wait_for_steps(at);
        signal("-KILL", half(&bench, "restarted", folder));
        std::thread::sleep(Duration::from_millis(1500));
    }
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("rolling back and going on").count(), 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("stage 1, backward at unix:/"), "{}", ended.stderr);
    same(&bench.run("restarted"), &undisturbed);

    let interrupted = start(&bench, &config, "interrupted", &[]).wait_for_steps(25);
    interrupted.signal("-INT");
    let ended = interrupted.ended();
    assert_eq!(ended.code, Some(75), "{}", ended.stderr);
    let ended = start(&bench, &config, "interrupted", &["--resume", "auto"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    same(&bench.run("interrupted"), &undisturbed);
}

/// Sends a signal to the backward node of stage 1 in an endless run, and returns the run's end, which must come soon and
/// leave no node.
fn harmed(harm: &str) -> (Bench, Ended) {
    let bench = Bench::new();
    let config = bench.config(&keys().replace("epochs = 8", "epochs = 100000"));
    let coordinator = start(&bench, &config, "harmed", &[]).wait_for_steps(3);
    signal(harm, half(&bench, "harmed", "stage-1-backward"));
    let begun = Instant::now();
    let ended = coordinator.ended();
    assert!(begun.elapsed() < CONTRACT, "{:?}", begun.elapsed());
    eventually("the end of the nodes", || node(&bench.path("")).is_none());
    (bench, ended)
}

#[test]
fn a_killed_backward_node_is_named_and_nothing_stays_behind() {
    let (bench, ended) = harmed("-KILL");
    failed(&ended, 4, &["error: stage 1, backward at unix:/"]);
    let run = bench.run("harmed");
    assert_eq!(run.summary()["status"], "failed");
    assert!(run.folder.join("logs/stage-1-backward.log").is_file());
}

#[test]
fn a_stopped_backward_node_is_named_within_fifteen_seconds() {
    failed(&harmed("-STOP").1, 4, &["error: stage 1, backward at unix:/"]);
}
