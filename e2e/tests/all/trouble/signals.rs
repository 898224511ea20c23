//! Signals, to coordinators and nodes; and two processes that would work in one folder.

use e2e::harm::{ENDLESS, Hosts, eventually, failed, node, signal};
use e2e::{Bench, Ended, Run, binary};
use std::process::{Child, Command, ExitStatus, Stdio};

/// How a coordinator ended, soon.
fn finish(mut child: Child) -> Ended {
    end(&mut child);
    child.wait_with_output().unwrap().into()
}

/// How a process ended, soon.
fn end(child: &mut Child) -> ExitStatus {
    eventually("the end of the process", || child.try_wait().unwrap().is_some());
    child.wait().unwrap()
}

/// A run without an end, after its first steps.
fn training(bench: &Bench, run: &Run) -> Child {
    let config = bench.config(ENDLESS);
    let mut command = bench.coordinator(&["train", "--local", "--config", config.to_str().unwrap()]);
    let child = command.arg("--run-dir").arg(&run.folder).spawn().unwrap();
    let metrics = run.folder.join("metrics.jsonl");
    eventually("the first steps", || metrics.metadata().is_ok_and(|file| file.len() > 1500));
    child
}

#[test]
fn a_second_signal_stops_at_once() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let bench = Bench::new();
        let run = bench.run("stopped");
        let child = training(&bench, &run);
        // With a stopped node the run cannot save, so that the first signal does not end it.
        let stopped = node(&run.folder.join("state/stage-1")).unwrap();
        signal("-STOP", stopped);
        signal(name, child.id());
        std::thread::sleep(std::time::Duration::from_millis(500));
        signal(name, child.id());
        let ended: Ended = child.wait_with_output().unwrap().into();
        failed(&ended, code, &["stopped at once by a second signal", "still there"]);
        signal("-CONT", stopped);
        eventually("the end of the nodes", || node(&run.folder).is_none());
    }
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let bench = Bench::new();
    let run = bench.run("timed");
    let child = training(&bench, &run);
    // As `timeout` sends it, to the process and to its group.
    (0..2).for_each(|_| signal("-TERM", child.id()));
    failed(&finish(child), 75, &["interrupted", "--resume auto"]);
}

#[test]
fn a_signal_ends_the_wait_for_nodes() {
    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let run = bench.run("waiting");
    // Nobody listens at the first address; who listens at the second takes connections and says nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nodes = ["127.0.0.1:1,127.0.0.1:2,127.0.0.1:3".to_owned(), deaf.local_addr().unwrap().to_string()];
    let stages = [&[][..], &["--set", "pipeline.stages=1"]];
    for ((nodes, stages), name) in nodes.iter().zip(stages).zip(["-INT", "-TERM"]) {
        for resume in [&[][..], &["--resume", "auto"]] {
            let mut command = bench.coordinator(&["train", "--config", config.to_str().unwrap()]);
            command.arg("--run-dir").arg(&run.folder).args(["--nodes", nodes]).args(stages).args(resume);
            let child = command.args(["--set", "network.connect_deadline=600"]).spawn().unwrap();
            let begun = |run: &Run| run.starts() == 1 + resume.len() as u64 / 2;
            eventually("the start", || begun(&run));
            std::thread::sleep(std::time::Duration::from_millis(300));
            signal(name, child.id());
            failed(&finish(child), 75, &["before all nodes were connected", "--resume auto"]);
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
        let ended: Ended = run.wait_with_output().unwrap().into();
        let address = hosts.nodes[1].address("control").to_owned();
        failed(&ended, 4, &["stage 1: the node is being stopped", &address, "--resume auto"]);
        assert_eq!(end(&mut hosts.nodes[1].child).code(), Some(code));
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
    let arguments = ["train", "--local", "--config", config.to_str().unwrap(), "--name", "owned"];
    let mut first = bench.coordinator(&arguments).stderr(Stdio::null()).spawn().unwrap();
    let metrics = run.folder.join("metrics.jsonl");
    eventually("the first steps", || metrics.metadata().is_ok_and(|file| file.len() > 1500));

    let second: Ended =
        bench.coordinator(&[&arguments[..], &["--resume", "auto"]].concat()).output().unwrap().into();
    failed(&second, 2, &["another coordinator works on the run in runs/owned", "wait for its end"]);
    assert!(first.try_wait().unwrap().is_none(), "the first run is still under way");
    assert!(first.wait().unwrap().success());
    assert_eq!((run.history(), run.digests()), (alone.history(), alone.digests()), "and undisturbed");

    let hosts = Hosts::new(1);
    let state = hosts.bench.path("host-0");
    let mut command = Command::new(binary("layer-node"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--health", "127.0.0.1:0"]);
    let ended: Ended = command.arg("--state-dir").arg(&state).output().unwrap().into();
    failed(&ended, 2, &["another layer-node has the state folder", state.to_str().unwrap(), "--state-dir"]);
}
