//! Tests of names: one that does not resolve yet is tried again, and one that leads to another address later is followed.

use super::Said;
use e2e::harm::{saving, signal};
use e2e::{Bench, Coordinator, Node, binary, digest, pod};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Starts the node of a stage at `host` on these ports, in the world of the names in `names`.
fn node(bench: &Bench, names: &Path, stage: usize, host: &str, ports: &[String; 3]) -> Node {
    let addresses = ports.each_ref().map(|address| address.replace("127.0.0.1", host));
    let program = Command::new(binary("layer-node"));
    let mut command = pod::with_hosts(names, &program);
    command.current_dir(bench.path(""));
    let state = bench.path(&format!("host-{stage}"));
    Node::launch_at(command, &state, addresses.each_ref().map(String::as_str))
}

#[test]
fn a_name_may_resolve_late_and_lead_to_another_address_later() {
    let bench = Bench::new();
    let names = bench.path("hosts");
    fs::write(&names, "127.0.0.1 localhost\n").unwrap();
    if !pod::is_possible(pod::with_hosts(&names, &Command::new("true"))) {
        return;
    }
    let config = bench.config(&saving(40).replace("[\"branch2\", \"down\"]", "[\"down\"]"));
    let undisturbed = bench.trained(&config, "undisturbed", &[]);

    let ports = [pod::addresses("127.0.0.1"), pod::addresses("127.0.0.1")];
    let control = ports.iter().enumerate().map(|(stage, [_, control, _])| {
        control.replace("127.0.0.1", &format!("stage-{stage}.neuropil.test"))
    });
    let control = control.collect::<Vec<_>>().join(",");
    let mut train = bench.coordinator(&["train", "--config", config.to_str().unwrap(), "--run-dir"]);
    train.arg(bench.run("named").folder).args(["--nodes", &control, "--restarts", "1"]);
    train.args(["--set", "network.connect_deadline=120"]);
    let mut coordinator = Coordinator::start(pod::with_hosts(&names, &train), bench.run("named"));
    let mut said = Said::of(&mut coordinator);
    let line = said.wait_for("waiting for ");
    assert!(line.contains("stage 0 at stage-0.neuropil.test:") && line.contains("lookup"), "{line}");

    // The names appear, the later stage's first. No file is replaced: the mount would keep the old one.
    let mut nodes: Vec<_> =
        [1, 0].map(|stage| node(&bench, &names, stage, "127.0.0.1", &ports[stage])).into();
    fs::write(&names, "127.0.0.1 localhost stage-1.neuropil.test\n").unwrap();
    fs::write(&names, "127.0.0.1 localhost stage-1.neuropil.test stage-0.neuropil.test\n").unwrap();
    let coordinator = coordinator.wait_for_steps(60);

    // The pod of the second stage comes back at another address, which its name leads to.
    signal("-KILL", nodes[0].child.id());
    nodes[0].child.wait().unwrap();
    nodes.push(node(&bench, &names, 1, "127.0.0.2", &ports[1]));
    fs::write(&names, "127.0.0.1 localhost stage-0.neuropil.test\n127.0.0.2 stage-1.neuropil.test\n")
        .unwrap();
    let ended = coordinator.ended();
    let said = said.all();
    assert_eq!(ended.code, Some(0), "{said:#?}");
    let digests = (0..2).flat_map(|stage| digest(&bench.path(&format!("host-{stage}")))).collect();
    assert_eq!(undisturbed.digests(), digests);
    assert_eq!(bench.run("named").history(), undisturbed.history());
}
