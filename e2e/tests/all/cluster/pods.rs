//! Tests of pods that are killed and deleted, and of the coordinator's own death: one command line takes the run up again,
//! and it ends in the bits of an undisturbed run.

use super::{Pods, STAGES, Said};
use e2e::harm::{eventually, failed, saving};

#[test]
fn killed_and_deleted_pods_and_a_killed_coordinator_change_no_bit() {
    let mut pods = Pods::new();
    let config = pods.bench.config(&saving(60));
    let undisturbed = pods.bench.trained(&config, "undisturbed", &[]);
    (0..STAGES).for_each(|stage| pods.start(stage));

    // A pod is killed, and the coordinator is told to end while it waits for the pod.
    let mut coordinator = pods.train(&config, &["--restarts", "1"]).wait_for_steps(20);
    let mut said = Said::of(&mut coordinator);
    pods.end(1, "-KILL");
    said.wait_for("rolling back and going on (0 restarts left)");
    said.wait_for("waiting for stage 1 at ");
    coordinator.signal("-TERM");
    eventually("the end of the coordinator", || coordinator.is_over());
    assert_eq!(coordinator.ended().code, Some(75));
    let said = said.all();
    assert!(said.last().is_some_and(|line| line.contains("--resume auto goes on")), "{said:#?}");

    // Without restarts, the end of a pod ends the run.
    pods.start(1);
    let run = pods.bench.run("pods");
    let coordinator = pods.train(&config, &[]).wait_for_steps(run.steps() + 40);
    pods.end(0, "-KILL");
    let ended = coordinator.ended();
    failed(&ended, 4, &["stage 0 at "]);
    assert!(ended.stderr.contains("going on after step"), "{}", ended.stderr);
    pods.start(0);

    // The coordinator is killed.
    pods.train(&config, &[]).wait_for_steps(run.steps() + 40).kill();
    let control = pods.addresses.iter().map(|[_, control, _]| control.as_str()).collect::<Vec<_>>().join(",");
    eventually("the nodes' idleness", || {
        pods.bench.ended(&["check", "--nodes", &control]).stdout.matches("idle").count() == STAGES
    });

    // A pod is deleted: it drains, and another takes its place. That costs one restart, however long it drains.
    let mut coordinator = pods.train(&config, &["--restarts", "1"]).wait_for_steps(run.steps() + 40);
    let mut said = Said::of(&mut coordinator);
    assert_eq!(pods.end(2, "-TERM"), Some(143));
    pods.start(2);
    said.wait_for("rolling back and going on (0 restarts left)");
    let ended = coordinator.ended();
    assert_eq!(ended.code, Some(0), "{:#?}", said.all());

    assert_eq!(pods.digests(), undisturbed.digests());
    assert_eq!(run.history(), undisturbed.history());
}
