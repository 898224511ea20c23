//! Tests of signals to coordinators and nodes, and of two processes in one folder.

use e2e::harm::{ENDLESS, Hosts, eventually, failed, node, signal};
use e2e::{Bench, Coordinator, Ended, binary};
use std::process::Command;

/// The coordinator's end, which must come soon.
fn finish(mut coordinator: Coordinator) -> Ended {
    eventually("the end of the coordinator", || coordinator.is_over());
    coordinator.ended()
}

/// A run without an end, after its first steps.
fn training(bench: &Bench) -> Coordinator {
    bench.start("stopped", &bench.config(ENDLESS), &["--local"]).wait_for_steps(3)
}

#[test]
fn a_second_signal_stops_at_once() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let bench = Bench::new();
        let coordinator = training(&bench);
        let folder = coordinator.run.folder.clone();
        // With a stopped node the run cannot save, so that the first signal does not end it.
        let stopped = node(&folder.join("state/stage-1")).unwrap();
        signal("-STOP", stopped);
        coordinator.signal(name);
        std::thread::sleep(std::time::Duration::from_millis(500));
        coordinator.signal(name);
        failed(&coordinator.ended(), code, &["stopped at once by a second signal", "still there"]);
        signal("-CONT", stopped);
        eventually("the end of the nodes", || node(&folder).is_none());
    }
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let bench = Bench::new();
    let coordinator = training(&bench);
    // The signal comes twice: `timeout` sends it to the process and to its group.
    (0..2).for_each(|_| coordinator.signal("-TERM"));
    failed(&finish(coordinator), 75, &["interrupted", "--resume auto"]);
}

#[test]
fn a_signal_ends_the_wait_for_nodes() {
    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let run = bench.run("waiting");
    // No process listens at the first addresses. The listener at the last address accepts connections and stays
    // silent.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nodes = ["127.0.0.1:1,127.0.0.1:2,127.0.0.1:3".to_owned(), deaf.local_addr().unwrap().to_string()];
    let stages = [&[][..], &["--set", "pipeline.stages=1"]];
    for ((nodes, stages), name) in nodes.iter().zip(stages).zip(["-INT", "-TERM"]) {
        for resume in [&[][..], &["--resume", "auto"]] {
            let patient = ["--nodes", nodes, "--set", "network.connect_deadline=600"];
            let coordinator = bench.start("waiting", &config, &[&patient[..], stages, resume].concat());
            eventually("the start", || run.starts() == 1 + resume.len() as u64 / 2);
            std::thread::sleep(std::time::Duration::from_millis(300));
            coordinator.signal(name);
            failed(&finish(coordinator), 75, &["before all nodes were connected", "--resume auto"]);
        }
        std::fs::remove_dir_all(&run.folder).unwrap();
    }
}

#[test]
fn a_node_that_is_told_to_end_saves_and_is_named() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut hosts = Hosts::new(3);
        let run = hosts.training(ENDLESS, "ended");
        signal(name, hosts.nodes[1].child.id());
        let ended = run.ended();
        let address = hosts.nodes[1].address("control").to_owned();
        failed(&ended, 4, &["stage 1: the node is being stopped", &address, "--resume auto"]);
        let node = &mut hosts.nodes[1].child;
        eventually("the end of the node", || node.try_wait().unwrap().is_some());
        assert_eq!(node.wait().unwrap().code(), Some(code));
        let state = hosts.bench.path("host-1");
        assert_eq!(state.read_dir().unwrap().count(), 1, "the state as of the last update");
    }
}

#[test]
fn a_run_has_one_coordinator_and_a_state_folder_one_node() {
    let bench = Bench::new();
    let keys = ENDLESS.replace("100000", "200");
    let config = bench.config(&keys);
    let alone = bench.trained(&config, "alone", &[]);
    let run = bench.run("owned");
    let mut first = bench.start("owned", &config, &["--local"]).wait_for_steps(3);

    let config = config.to_str().unwrap();
    let again = ["train", "--local", "--config", config, "--name", "owned", "--resume", "auto"];
    let second = bench.ended(&again);
    failed(&second, 2, &["another coordinator works on the run in runs/owned", "wait for its end"]);
    assert!(!first.is_over(), "the first run is still under way");
    assert_eq!(first.ended().code, Some(0));
    assert_eq!((run.history(), run.digests()), (alone.history(), alone.digests()), "and undisturbed");

    let hosts = Hosts::new(1);
    let state = hosts.bench.path("host-0");
    let mut command = Command::new(binary("layer-node"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--health", "127.0.0.1:0"]);
    let ended: Ended = command.arg("--state-dir").arg(&state).output().unwrap().into();
    failed(&ended, 2, &["another layer-node has the state folder", state.to_str().unwrap(), "--state-dir"]);
}
