//! The firewall on the router: it lets the coordinator, neighbours, and a stage to the host of its B through, by address
//! and port, and nothing else.

use super::network::{Host, Network, output, run};
use super::{CONTROL, DATA};
use crate::run::Failure;

/// A connection that a host may open: from, to, port.
type Allowed<'a> = (&'a Host, &'a Host, u16);

/// Closes the router to everything but the connections of a run. `backward` has the host of each stage's B, where the
/// stages are split.
pub fn close(
    network: &Network,
    coordinator: &Host,
    stages: &[&Host],
    backward: &[&Host],
) -> Result<(), Failure> {
    for chain in ["INPUT", "OUTPUT", "FORWARD"] {
        iptables(network, &["--policy", chain, "DROP"])?;
    }
    for (client, server, port) in allowed(coordinator, stages, backward) {
        let port = port.to_string();
        let there = ["-s", &client.address, "-d", &server.address, "-p", "tcp", "--dport", &port];
        let back =
            ["-s", &server.address, "-d", &client.address, "-p", "tcp", "--sport", &port, "!", "--syn"];
        iptables(network, &[&["--append", "FORWARD"], &there[..], &["--jump", "ACCEPT"]].concat())?;
        iptables(network, &[&["--append", "FORWARD"], &back[..], &["--jump", "ACCEPT"]].concat())?;
    }
    // What is left is dropped and counted, by the host that sent it.
    for host in network.hosts() {
        for chain in ["FORWARD", "INPUT"] {
            iptables(network, &["--append", chain, "--in-interface", &host.name, "--jump", "DROP"])?;
        }
    }
    Ok(())
}

/// The connections of a run.
fn allowed<'a>(coordinator: &'a Host, stages: &[&'a Host], backward: &[&'a Host]) -> Vec<Allowed<'a>> {
    let control = stages.iter().chain(backward).map(|node| (coordinator, *node, CONTROL));
    let neighbours = stages.windows(2).map(|pair| (pair[0], pair[1], DATA));
    let ends = [stages.first(), stages.last()].into_iter().flatten();
    let data = ends.map(|stage| (coordinator, *stage, DATA));
    let halves = stages.iter().zip(backward).map(|(stage, backward)| (*stage, *backward, DATA));
    control.chain(neighbours).chain(data).chain(halves).collect()
}

/// A sentence for each host of which the firewall dropped a packet.
pub fn dropped(network: &Network) -> Result<Vec<String>, Failure> {
    let mut sentences = Vec::new();
    for chain in ["FORWARD", "INPUT"] {
        let rules = output(network.on_router("iptables").args(["--wait", "-L", chain, "-v", "-n", "-x"]))?;
        sentences.extend(rules.lines().filter_map(drops).map(|(host, packets)| {
            format!("the firewall dropped {packets} packets of {host}, which no rule lets through")
        }));
    }
    Ok(sentences)
}

/// The host and the packets of a rule that dropped any: `packets bytes DROP all -- HOST * …`.
fn drops(rule: &str) -> Option<(&str, u64)> {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let [packets, _, "DROP", _, _, host, ..] = words[..] else { return None };
    packets.parse().ok().filter(|packets| *packets > 0).map(|packets| (host, packets))
}

/// Runs iptables on the router.
pub fn iptables(network: &Network, words: &[&str]) -> Result<(), Failure> {
    run(network.on_router("iptables").arg("--wait").args(words))
}

#[cfg(test)]
mod tests {
    use super::super::network::Network;
    use super::{CONTROL, DATA, allowed, drops};

    #[test]
    fn only_a_stage_reaches_the_data_port_of_its_backward_node() {
        let network = Network::loopback(&["coordinator", "s0", "s1", "b0", "b1"]);
        let host = |name| network.host(name);
        let rules = allowed(host("coordinator"), &[host("s0"), host("s1")], &[host("b0"), host("b1")]);
        let to = |name: &str, port| -> Vec<&str> {
            let own = rules.iter().filter(|(_, to, at)| (to.name.as_str(), *at) == (name, port));
            own.map(|(from, _, _)| from.name.as_str()).collect()
        };
        assert_eq!((to("b0", DATA), to("b1", DATA)), (vec!["s0"], vec!["s1"]));
        assert_eq!((to("b0", CONTROL), to("b1", CONTROL)), (vec!["coordinator"], vec!["coordinator"]));
        assert_eq!(to("s1", DATA), ["s0", "coordinator"]);
    }

    #[test]
    fn only_a_rule_that_dropped_something_is_told() {
        let rule = "       3      180 DROP       0    --  stage1 *       0.0.0.0/0            0.0.0.0/0";
        assert_eq!(drops(rule), Some(("stage1", 3)));
        assert_eq!(drops(&rule.replace("   3  ", "   0  ")), None);
        assert_eq!(drops(&rule.replace("DROP", "ACCEPT")), None);
        assert_eq!(drops("Chain FORWARD (policy DROP 0 packets, 0 bytes)"), None);
    }
}
