//! Tests of all signals that ask a program to end: whichever comes, to whichever processes, no step is lost.

use e2e::harm::{ENDLESS, Hosts, eventually, failed, node, signal};
use e2e::{Bench, Coordinator, Ended, binary};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The signals beside SIGINT and SIGTERM, with the exit codes of a node.
const OTHERS: [(&str, i32); 5] =
    [("-HUP", 129), ("-QUIT", 131), ("-USR1", 138), ("-USR2", 140), ("-XCPU", 152)];

/// The end of a coordinator, which must come soon.
fn finish(mut coordinator: Coordinator) -> Ended {
    eventually("the end of the coordinator", || coordinator.is_over());
    coordinator.ended()
}

/// The step after which a run was interrupted, by its last line.
fn interrupted_after(ended: &Ended) -> u64 {
    failed(ended, 75, &["interrupted after step ", "--resume auto"]);
    let (_, rest) = ended.last_line().split_once("after step ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Resumes the run `name` and interrupts it again; it must go on after `step`.
fn goes_on(bench: &Bench, name: &str, step: u64, place: &[&str]) {
    let config = bench.path("config.toml");
    let resumed = bench.start(name, &config, &[place, &["--resume", "auto"]].concat());
    let resumed = resumed.wait_for_steps(step as usize + 1);
    resumed.signal("-INT");
    let ended = finish(resumed);
    let said = format!("going on after step {step}, from the snapshot that all nodes have");
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}

#[test]
fn every_signal_to_a_coordinator_ends_the_run_in_order() {
    let hosts = Hosts::new(3);
    for (name, _) in OTHERS {
        let run = hosts.training(ENDLESS, &format!("run{name}"));
        run.signal(name);
        let step = interrupted_after(&finish(run));
        goes_on(&hosts.bench, &format!("run{name}"), step, &["--nodes", &hosts.addresses()]);
    }
}

#[test]
fn every_signal_to_a_node_makes_it_save_and_ends_the_run_in_order() {
    for (name, code) in OTHERS {
        let mut hosts = Hosts::new(3);
        let run = hosts.training(ENDLESS, "left");
        signal(name, hosts.nodes[1].child.id());
        failed(&finish(run), 4, &["stage 1: the node is being stopped", "--resume auto"]);
        let ended = &mut hosts.nodes[1].child;
        eventually("the end of the node", || ended.try_wait().unwrap().is_some());
        assert_eq!(ended.wait().unwrap().code(), Some(code));
        let saved = |host: usize| {
            let state = hosts.bench.path(&format!("host-{host}")).read_dir().unwrap();
            state.map(|entry| entry.unwrap().file_name().into_string().unwrap()).max().unwrap()
        };
        assert!(saved(0) == saved(1) && saved(1) == saved(2), "{} {} {}", saved(0), saved(1), saved(2));
    }
}

/// A supervisor sends SIGTERM to all processes of a service, and a shell that loses its terminal SIGHUP to all jobs.
#[test]
fn a_signal_to_all_processes_of_a_run_at_once_loses_no_step() {
    for name in ["-TERM", "-HUP"] {
        let bench = Bench::new();
        let run = bench.start("all", &bench.config(ENDLESS), &["--local"]).wait_for_steps(3);
        let nodes = (0..3).map(|stage| node(&run.run.folder.join(format!("state/stage-{stage}"))).unwrap());
        let all: Vec<_> = nodes.chain([run.id()]).map(|process| process.to_string()).collect();
        assert!(Command::new("kill").arg(name).args(all).status().unwrap().success());
        let step = interrupted_after(&finish(run));
        goes_on(&bench, "all", step, &["--local"]);
    }
}

#[test]
fn a_local_node_that_is_told_to_end_takes_no_step_with_it() {
    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let run = bench.start("told", &config, &["--local", "--restarts", "1"]).wait_for_steps(3);
    let stage = run.run.folder.join("state/stage-1");
    signal("-TERM", node(&stage).unwrap());
    let steps = run.run.steps();
    let run = run.wait_for_steps(steps + 20);
    run.signal("-INT");
    let ended = finish(run);
    interrupted_after(&ended);
    assert!(ended.stderr.contains("the node is being stopped"), "{}", ended.stderr);
    assert!(ended.stderr.contains("(0 restarts left)"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("are run again"), "{}", ended.stderr);
}

/// `sh -c` with the signals `ignored`, as `nohup` and jobs in the background have them.
fn ignoring(ignored: &str, program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!(r#"trap "" {ignored}; exec "$0" "$@""#)]).arg(binary(program));
    command
}

#[test]
fn a_hang_up_that_is_ignored_from_the_start_is_ignored_and_an_interrupt_is_not() {
    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let run = bench.run("nohup");
    let mut command = ignoring("HUP INT QUIT", "coordinator");
    command.args(["train", "--local", "--config"]).arg(&config).arg("--run-dir").arg(&run.folder);
    command.current_dir(bench.path("")).env_remove("NEUROPIL_DATA");
    // Nobody reads what the run says, as on a terminal that is gone.
    let (_, closed) = std::io::pipe().unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(closed);
    let going = Coordinator::start(command, run).wait_for_steps(3);
    let stage = node(&going.run.folder.join("state/stage-1")).unwrap();
    going.signal("-HUP");
    signal("-HUP", stage);
    let steps = going.run.steps();
    let going = going.wait_for_steps(steps + 20);
    going.signal("-INT");
    assert_eq!(finish(going).code, Some(75));
    assert_eq!(bench.run("nohup").summary()["status"], "interrupted");
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    let mut hosts = Hosts::new(2);
    let keys = ENDLESS.replace("[\"branch2\", \"down\"]", "[\"down\"]");
    let run = hosts.training(&keys, "twice");
    // A stopped coordinator does not end its run.
    run.signal("-STOP");
    let node = hosts.nodes[0].child.id();
    signal("-HUP", node);
    std::thread::sleep(Duration::from_millis(500));
    signal("-TERM", node);
    assert_eq!(hosts.nodes[0].child.wait().unwrap().code(), Some(143));
}
