//! Tests of trouble with nodes on other hosts: each failure gives one sentence with the stage, the address and the
//! remedy, and the remaining nodes are idle again.

use crate::foreign::Foreign;
use e2e::harm::{CONTRACT, ENDLESS, Hosts, eventually, failed, signal};
use e2e::{Bench, Ended, Node, binary, pod};
use proto::control::PROTOCOL;
use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

/// `check` and `train` with a single node at `address`: both fail within the contract.
fn refused(address: &str, said: &[&str]) {
    let bench = Bench::new();
    let config = bench.config(ENDLESS);
    let check = ["check", "--deadline", "2", "--nodes", address];
    let train = ["train", "--config", config.to_str().unwrap(), "--nodes", address];
    let settings = ["--set", "pipeline.stages=1", "--set", "network.connect_deadline=2"];
    let begun = Instant::now();
    failed(&bench.ended(&check), 4, &[&[address], said].concat());
    let ended = bench.ended(&[&train[..], &settings].concat());
    failed(&ended, 4, &[&[format!("stage 0 at {address}").as_str()], said].concat());
    assert!(begun.elapsed() < CONTRACT, "{:?}", begun.elapsed());
}

#[test]
fn a_port_that_never_answers_is_named() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    refused(&silent.local_addr().unwrap().to_string(), &["within 2 s", "check the address"]);
}

#[test]
fn a_data_port_given_for_the_control_port_is_named() {
    let hosts = Hosts::new(1);
    refused(hosts.nodes[0].address("data"), &["no such service there: give the node's control address"]);
}

#[test]
fn a_node_of_another_protocol_is_named_and_left_alone() {
    let [address, ..] = pod::addresses("127.0.0.1");
    let _serving = Foreign { protocol: PROTOCOL + 1, data_port: 1 }.serve(&address);
    refused(&address, &["release 9.9.9", "run the same release on both"]);
}

#[test]
fn a_taken_port_is_said_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--listen", "--control", "--health"] {
        let mut command = Command::new(binary("layer-node"));
        command.arg("serve").arg("--state-dir").arg(folder.path());
        for plane in ["--listen", "--control", "--health"] {
            command.args([plane, if plane == flag { &address } else { "127.0.0.1:0" }]);
        }
        let ended: Ended = command.output().unwrap().into();
        failed(&ended, 2, &[&address, &format!("give {flag} another address")]);
    }
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let below = blocked.join("state");
    let mut command = Command::new(binary("layer-node"));
    let ended: Ended = command.args(["serve", "--state-dir"]).arg(&below).output().unwrap().into();
    failed(&ended, 2, &[below.to_str().unwrap(), "a part is a file", "give --state-dir another folder"]);
}

/// Does `harm` to the node in the middle of a run on three hosts; the other nodes must be idle soon.
fn lost(harm: &str) -> Hosts {
    let hosts = Hosts::new(3);
    let run = hosts.training(ENDLESS, "lost");
    signal(harm, hosts.nodes[1].child.id());
    let begun = Instant::now();
    let ended = run.ended();
    let address = hosts.nodes[1].address("control");
    failed(&ended, 4, &[&format!("stage 1 at {address} was lost"), "start the run again"]);
    assert!(begun.elapsed() < CONTRACT, "{:?}", begun.elapsed());
    let others = [&hosts.nodes[0], &hosts.nodes[2]].map(|node| node.address("control")).join(",");
    eventually("the others' idleness", || {
        hosts.bench.ended(&["check", "--nodes", &others]).stdout.matches("idle").count() == 2
    });
    hosts
}

#[test]
fn a_killed_node_on_another_host_is_named() {
    lost("-KILL");
}

#[test]
fn a_stopped_node_on_another_host_is_named_and_idle_once_it_goes_on() {
    let hosts = lost("-STOP");
    signal("-CONT", hosts.nodes[1].child.id());
    eventually("the stopped node's idleness", || hosts.idle() == 3);
}

#[test]
fn a_second_coordinator_is_refused_and_the_first_goes_on_undisturbed() {
    let keys = ENDLESS.replace("100000", "60");
    let hosts = Hosts::new(3);
    let alone = hosts.bench.trained(&hosts.bench.config(&keys), "alone", &[]);
    let mut first = hosts.training(&keys, "first");
    let config = hosts.bench.config(&keys);
    for name in ["second", "third"] {
        let begun = Instant::now();
        let ended = hosts.ended(&["train", "--config", config.to_str().unwrap(), "--name", name]);
        failed(&ended, 4, &["stage ", "127.0.0.1:", "the node is busy with run", "wait for its end"]);
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }
    assert!(!first.is_over(), "the first run was still under way");
    let ended = first.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(hosts.digests(), alone.digests());
    assert_eq!(hosts.bench.run("first").history(), alone.history());
}

#[test]
fn nodes_are_idle_soon_after_their_coordinator_was_killed_and_take_the_next_run() {
    let hosts = Hosts::new(3);
    let run = hosts.training(ENDLESS, "killed");
    assert_eq!(hosts.idle(), 0);
    run.kill();
    eventually("the nodes' idleness", || hosts.idle() == 3);
    let config = hosts.bench.config(ENDLESS);
    let next =
        ["train", "--config", config.to_str().unwrap(), "--name", "next", "--set", "train.max_steps=3"];
    let ended = hosts.ended(&next);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_full_disk_of_logs_stops_neither_a_node_nor_the_coordinator() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" "$@" 2>/dev/full"#]).arg(binary("layer-node"));
    let mut hosts = Hosts::new(0);
    hosts.nodes.push(Node::launch(command, &hosts.bench.path("host-0")));
    let config = hosts.bench.config(ENDLESS);
    let settings = ["--set", "pipeline.stages=1", "--set", "train.max_steps=3"];
    let train = ["train", "--config", config.to_str().unwrap(), "--name", "unlogged"];
    let ended = hosts.ended(&[&train[..], &settings].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let full = |name: &str, redirected: &str| -> Ended {
        let mut command = Command::new("sh");
        command.args(["-c", &format!(r#"exec "$0" "$@" {redirected}/dev/full"#)]).arg(binary("coordinator"));
        command.args(&train[..4]).arg(name).args(settings).args(["--nodes", &hosts.addresses()]);
        command.env_remove("NEUROPIL_DATA").current_dir(hosts.bench.path("")).output().unwrap().into()
    };
    assert_eq!(full("unsaid", "2>").code, Some(0));
    failed(&full("unanswered", ">"), 1, &["cannot write to stdout"]);
    assert_eq!(hosts.bench.run("unanswered").summary()["status"], "done");
}
