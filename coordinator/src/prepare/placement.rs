//! The placement of a run's nodes: on this host, or at given addresses.

use crate::plural::plural;
use crate::run_error::RunError;
use proto::link::Role;
use proto::spec::transport::Transport;
use proto::transport::address::{check_address, path_of};
use proto::transport::tls::Security;

/// The placement of a run's nodes.
#[derive(Clone, Debug)]
pub enum Placement {
    /// Processes on this host, which the coordinator starts and stops.
    Local,
    /// Nodes that the user has started.
    Remote {
        /// Their control addresses, one per stage.
        nodes: Vec<String>,
        /// The control addresses of the nodes that keep the B of split layers, one per stage that has such layers.
        backward_nodes: Vec<String>,
        /// The security of the connections to them.
        security: Security,
    },
}

impl Placement {
    /// The security of the connections to the nodes. Local nodes have no certificates, and other hosts cannot reach
    /// them.
    pub fn security(&self) -> Security {
        match self {
            Placement::Local => Security::plaintext(),
            Placement::Remote { security, .. } => security.clone(),
        }
    }

    /// Checks that the run's `transport` fits the addresses of the nodes.
    ///
    /// # Errors
    /// One sentence with the first address that it does not fit.
    pub fn check_transport(&self, transport: Transport) -> Result<(), RunError> {
        let Placement::Remote { nodes, backward_nodes, .. } = self else { return Ok(()) };
        nodes.iter().chain(backward_nodes).try_for_each(|node| {
            transport.carriage(node, path_of(node).is_some()).map(drop).map_err(RunError::configuration)
        })
    }

    /// Checks that each of `roles`, stages first, has a node of its own.
    ///
    /// # Errors
    /// One sentence with both numbers, or with the role and its address.
    pub fn check(&self, roles: &[Role]) -> Result<(), RunError> {
        let Placement::Remote { nodes, backward_nodes, .. } = self else { return Ok(()) };
        let stages = roles.iter().filter(|role| matches!(role, Role::Stage(_))).count();
        if nodes.len() != stages {
            return Err(RunError::configuration(format!(
                "--nodes names {}, but pipeline.stages cuts the network into {}",
                plural(nodes.len() as u64, "node"),
                plural(stages as u64, "stage")
            )));
        }
        count(&roles[stages..], backward_nodes)?;
        let given: Vec<_> = roles.iter().zip(nodes.iter().chain(backward_nodes)).collect();
        for (at, (role, address)) in given.iter().enumerate() {
            let of_role = |error| RunError::configuration(format!("{role} at {error}"));
            check_address(address).map_err(of_role)?;
            if let Some((first, _)) = given[..at].iter().find(|(_, other)| other == address) {
                let flags = match role {
                    Role::Backward(_) => "--nodes and --backward-nodes name",
                    _ => "--nodes names",
                };
                return Err(RunError::configuration(format!(
                    "{flags} {address} for {first} and for {role}: a node is one stage or the half of one, so name every node once"
                )));
            }
        }
        Ok(())
    }
}

/// Checks that each of the backward nodes `due` has an address.
fn count(due: &[Role], given: &[String]) -> Result<(), RunError> {
    if due.len() == given.len() {
        return Ok(());
    }
    let indices = due.iter().map(|role| match role {
        Role::Backward(index) | Role::Stage(index) => index.to_string(),
        Role::Coordinator | Role::Node => role.to_string(),
    });
    let indices: Vec<String> = indices.collect();
    let of = match &indices[..] {
        [] => {
            return Err(RunError::configuration(format!(
                "--backward-nodes names {}, but no layer has its W and B on two hosts: leave the flag out, or set \
                 pipeline.placement to \"split\"",
                plural(given.len() as u64, "node")
            )));
        }
        [only] => format!("stage {only}"),
        [all @ .., last] => format!("stages {} and {last}", all.join(", ")),
    };
    let places = vec!["HOST:PORT"; due.len()].join(",");
    Err(RunError::configuration(match (given.len(), due.len()) {
        (0, 1) => format!(
            "pipeline.placement puts the B of {of} on a host of its own: start a layer-node serve for it, and give \
             --backward-nodes {places} as well, its control address"
        ),
        (0, _) => format!(
            "pipeline.placement puts the B of {of} on hosts of their own: start a layer-node serve for each, and give \
             --backward-nodes {places} as well, their control addresses in this order"
        ),
        (given, _) => format!(
            "--backward-nodes names {}, but pipeline.placement splits {of}: give --backward-nodes {places}",
            plural(given as u64, "node")
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(stages: u32, split: &[u32]) -> Vec<Role> {
        (0..stages).map(Role::Stage).chain(split.iter().copied().map(Role::Backward)).collect()
    }

    /// The refusal of these addresses, which are separated by spaces; empty if they are good.
    fn said(given: &str, backward: &str, roles: &[Role]) -> String {
        let list = |given: &str| match given {
            "" => Vec::new(),
            given => given.split(' ').map(str::to_owned).collect(),
        };
        let security = Security::plaintext();
        let placement = Placement::Remote { nodes: list(given), backward_nodes: list(backward), security };
        placement.check(roles).err().map(|failure| failure.sentence).unwrap_or_default()
    }

    #[test]
    fn every_stage_has_a_node_of_its_own_with_a_whole_address() {
        for good in ["a:7101 b:7101", "a:7101 a:7201", "[::1]:1 10.0.0.1:65535", "unix:/a unix:/b"] {
            assert_eq!(said(good, "", &roles(2, &[])), "");
        }
        for bad in ["a", "a:", ":1", "a:0", "a:65536", "a:b", "::1:1", "http://a:1", "a/b:1", "u@a:1", "[a:1"]
        {
            assert_eq!(
                said(&format!("fine:1 {bad}"), "", &roles(2, &[])),
                format!("stage 1 at '{bad}' is no address: host:port is expected, or unix:PATH on this host")
            );
        }
        assert!(said("a:1 b:1 a:1", "", &roles(3, &[])).contains("a:1 for stage 0 and for stage 2"));
        assert!(
            said("a:1", "", &roles(2, &[]))
                .contains("--nodes names 1 node, but pipeline.stages cuts the network into 2 stages")
        );
        assert!(Placement::Local.check(&roles(2, &[0])).is_ok());
    }

    #[test]
    fn every_split_stage_has_a_second_node_of_its_own() {
        let split = roles(3, &[0, 1, 2]);
        assert_eq!(said("a:1 b:1 c:1", "a:2 b:2 c:2", &split), "");
        let none = said("a:1 b:1 c:1", "", &split);
        assert!(none.contains("the B of stages 0, 1 and 2 on hosts of their own"), "{none}");
        assert!(none.contains("give --backward-nodes HOST:PORT,HOST:PORT,HOST:PORT as well"), "{none}");
        let few = said("a:1 b:1 c:1", "a:2", &roles(3, &[1, 2]));
        assert!(
            few.starts_with("--backward-nodes names 1 node, but pipeline.placement splits stages 1 and 2:")
        );
        let one = said("a:1", "", &roles(1, &[0]));
        let due = "the B of stage 0 on a host of its own: start a layer-node serve for it, and give --backward-nodes \
                   HOST:PORT as well, its control address";
        assert!(one.ends_with(due), "{one}");
        let unasked = said("a:1", "a:2 b:2", &roles(1, &[]));
        assert!(
            unasked.starts_with("--backward-nodes names 2 nodes, but no layer has its W and B on two hosts")
        );
        let twice = said("a:1 b:1", "c:1 b:1", &roles(2, &[0, 1]));
        assert!(twice.contains("name b:1 for stage 1 and for stage 1, backward"), "{twice}");
        let bad = said("a:1 b:1", "c:1 d", &roles(2, &[0, 1]));
        assert_eq!(
            bad,
            "stage 1, backward at 'd' is no address: host:port is expected, or unix:PATH on this host"
        );
    }

    #[test]
    fn shared_memory_needs_nodes_at_sockets_of_this_host() {
        let of = |nodes: &[&str], transport| {
            let nodes = nodes.iter().map(ToString::to_string).collect();
            let placement =
                Placement::Remote { nodes, backward_nodes: Vec::new(), security: Security::plaintext() };
            placement.check_transport(transport).err().map(|failure| failure.sentence).unwrap_or_default()
        };
        let mixed = ["unix:/a", "b:1"];
        assert_eq!([of(&mixed, Transport::Auto), of(&mixed, Transport::Grpc)], ["", ""]);
        assert!(of(&mixed, Transport::SharedMemory).starts_with("'b:1' is an address of TCP, and"));
        assert_eq!(of(&mixed[..1], Transport::SharedMemory), "");
        assert!(Placement::Local.check_transport(Transport::SharedMemory).is_ok());
    }
}
