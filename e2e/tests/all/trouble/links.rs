//! Trouble between two nodes that are both well: what lies between them fell silent.

use e2e::harm::{CONTRACT, ENDLESS, Hosts, eventually, failed};
use e2e::relay::Relay;
use std::time::Instant;

/// Both neighbours hear from the coordinator, so nobody but they can tell; it took 17.5 s once, because a
/// better reason was waited for that could not come.
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
    // Whichever end noticed first tells of the other.
    failed(&ended, 4, &["stage 0", "stage 1", "the network to it", "start the run again"]);
    assert!(begun.elapsed() < CONTRACT, "{:?}", begun.elapsed());
    eventually("the nodes' idleness", || hosts.idle() == 3);
}
