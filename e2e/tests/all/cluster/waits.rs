//! Tests of the wait for nodes: those that are not there yet, and those of another release.

use super::{Pods, STAGES, Said};
use crate::foreign::Foreign;
use e2e::Ended;
use e2e::harm::{eventually, failed, saving};
use proto::control::PROTOCOL;

#[test]
fn pods_may_come_late_and_in_any_order_and_a_killed_wait_is_taken_up() {
    let mut pods = Pods::new();
    let config = pods.bench.config(&saving(3));
    let undisturbed = pods.bench.trained(&config, "undisturbed", &[]);

    // A node alone makes no pipeline; the coordinator names the other two.
    pods.start(2);
    let mut first = pods.train(&config, &[]);
    let mut said = Said::of(&mut first);
    said.wait_for("beginning the run in ");
    let line = said.wait_for("waiting for ");
    for stage in 0..2 {
        assert!(line.contains(&format!("stage {stage} at {}", pods.addresses[stage][1])), "{line}");
    }
    assert!(!line.contains("stage 2 at"), "{line}");
    first.kill();

    let second = pods.train(&config, &[]);
    (0..2).rev().for_each(|stage| pods.start(stage));
    let ended = second.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(pods.digests(), undisturbed.digests());
    assert_eq!(pods.bench.run("pods").history(), undisturbed.history());
}

#[test]
fn old_and_new_pods_that_meet_say_so_and_the_run_goes_on_once_all_are_new() {
    let mut pods = Pods::new();
    let config = pods.bench.config(&saving(3));
    let undisturbed = pods.bench.trained(&config, "undisturbed", &[]);
    let old = Foreign { protocol: PROTOCOL + 1, data_port: 1 }.serve(&pods.addresses[1][1]);
    (0..STAGES).filter(|stage| *stage != 1).for_each(|stage| pods.start(stage));

    // A question is answered as well. That it is answered at the first attempt is a test of `transport/dial.rs`.
    let check = ["check", "--deadline", "60", "--nodes", &pods.addresses[1][1]];
    failed(&pods.bench.ended(&check), 4, &["release 9.9.9", "run the same release on both"]);

    let mut coordinator = pods.train(&config, &[]);
    let mut said = Said::of(&mut coordinator);
    let line = said.wait_for("release 9.9.9");
    for part in ["WARN", &format!("stage 1 at {}", pods.addresses[1][1]), "asked again for up to 120 s"] {
        assert!(line.contains(part), "{line}");
    }
    said.wait_for("waiting for stage 1 at ");
    drop(old);
    pods.start(1);
    let ended = coordinator.ended();
    let said = said.all();
    assert_eq!(ended.code, Some(0), "{said:#?}");
    assert_eq!(
        said.iter().filter(|line| line.contains("WARN") && line.contains("9.9.9")).count(),
        1,
        "{said:#?}"
    );
    assert_eq!(pods.digests(), undisturbed.digests());
}

#[test]
fn a_node_whose_description_cannot_be_read_is_of_another_protocol() {
    let pods = Pods::new();
    let address = &pods.addresses[0][1];
    let _other = Foreign { protocol: PROTOCOL, data_port: u32::MAX }.serve(address);
    let config = pods.bench.config(&saving(3));
    let train = ["train", "--config", config.to_str().unwrap(), "--nodes", address, "--name", "other"];
    let settings = ["--set", "pipeline.stages=1", "--set", "network.connect_deadline=2"];
    let ended: Ended = pods.bench.ended(&[&train[..], &settings].concat());
    failed(
        &ended,
        4,
        &["stage 0 at ", &format!("not of protocol {PROTOCOL}"), "run the same release on both"],
    );
}

#[test]
fn a_node_that_waits_for_its_folder_hears_a_signal() {
    let mut pods = Pods::new();
    pods.start(0);
    let state = pods.bench.path("host-0");
    let mut command = std::process::Command::new(e2e::binary("layer-node"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--health", "127.0.0.1:0"]);
    let mut second = command.arg("--state-dir").arg(&state).spawn().unwrap();
    let status = format!("/proc/{}/status", second.id());
    let handles_termination = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(mask, 16).unwrap() >> 14 & 1 == 1
    };
    eventually("the handler of the signal", handles_termination);
    e2e::harm::signal("-TERM", second.id());
    // A node that hears nothing ends with 2, since the folder stays taken.
    assert_eq!(second.wait().unwrap().code(), Some(143));
}
