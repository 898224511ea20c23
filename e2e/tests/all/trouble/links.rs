//! Tests of trouble between two healthy nodes: the network between them falls silent.

use e2e::harm::{CONTRACT, ENDLESS, Hosts, eventually, failed};
use e2e::relay::Relay;
use std::time::Instant;

/// Both neighbours still reach the coordinator, so only they can notice the silence. The report took 17.5 s once,
/// because the coordinator waited for a better reason that could not come.
#[test]
fn a_silent_network_between_two_nodes_is_named_by_its_ends_in_time() {
    let hosts = Hosts::new(3);
    let [data, control] = ["data", "control"].map(|plane| Relay::to(&hosts.nodes[1], plane));
    let [below, above] = [0, 2].map(|stage| hosts.nodes[stage].address("control"));
    let nodes = [below, &control.address, above].join(",");
    let config = hosts.bench.config(ENDLESS);
    let run = hosts.bench.start("cut", &config, &["--nodes", &nodes]).wait_for_steps(3);
    data.fall_silent();
    let begun = Instant::now();
    let ended = run.ended();
    // The end that notices the silence first names the other end.
    failed(&ended, 4, &["stage 0", "stage 1", "the network to it", "start the run again"]);
    assert!(begun.elapsed() < CONTRACT, "{:?}", begun.elapsed());
    eventually("the nodes' idleness", || hosts.idle() == 3);
}
