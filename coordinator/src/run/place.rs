//! Placement the nodes of a run are: started here, or given by hand.

use super::prepare::Prepared;
use crate::driver::{FailureCollector, NodeAddress};
use crate::node::LocalNodes;
use crate::run_error::RunError;
use proto::transport::dial::check_address;
use std::path::Path;

/// Placement the nodes of a run are.
#[derive(Clone, Debug)]
pub enum Placement {
    /// Processes of this host, started and ended by the coordinator.
    Local,
    /// Control addresses, one per stage.
    Remote(Vec<String>),
}

impl Placement {
    /// Checks that there is a node for each of `stages`, and another one for each.
    ///
    /// # Errors
    /// One sentence: both numbers, or the stage and its address.
    pub fn check(&self, stages: usize) -> Result<(), RunError> {
        let Placement::Remote(given) = self else { return Ok(()) };
        if given.len() != stages {
            return Err(RunError::configuration(format!(
                "--nodes names {} nodes, but pipeline.stages cuts the network into {stages} stages",
                given.len()
            )));
        }
        for (stage, address) in given.iter().enumerate() {
            let of_stage = |error| RunError::configuration(format!("stage {stage} at {error}"));
            check_address(address).map_err(of_stage)?;
            if let Some(first) = given[..stage].iter().position(|other| other == address) {
                return Err(RunError::configuration(format!(
                    "--nodes names {address} for stage {first} and for stage {stage}: a node is one stage, so name every node once"
                )));
            }
        }
        Ok(())
    }
}

/// The nodes of a run, whoever started them.
pub enum Nodes {
    /// Ours.
    Local(LocalNodes),
    /// Given by hand.
    Remote(Vec<NodeAddress>),
}

impl Nodes {
    /// Starts local nodes, or takes the given addresses, one per stage.
    ///
    /// # Errors
    /// Another number of addresses than stages, or a node that could not be started.
    pub async fn find(
        place: &Placement,
        prepared: &Prepared,
        run_dir: &Path,
        board: &FailureCollector,
    ) -> Result<Self, RunError> {
        let stages = prepared.ranges.len();
        match place {
            Placement::Local => {
                let threads = prepared.config.node.threads;
                LocalNodes::start(stages, run_dir, threads, board).await.map(Nodes::Local)
            }
            Placement::Remote(given) => {
                place.check(stages)?;
                Ok(Nodes::Remote(
                    given.iter().map(|control| NodeAddress { control: control.clone() }).collect(),
                ))
            }
        }
    }

    /// Placement they are reached.
    pub fn addresses(&self) -> &[NodeAddress] {
        match self {
            Nodes::Local(nodes) => &nodes.addresses,
            Nodes::Remote(addresses) => addresses,
        }
    }

    /// Ends those that are ours.
    pub async fn stop(self) {
        if let Nodes::Local(nodes) = self {
            nodes.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_node_of_its_own_with_a_whole_address() {
        let said = |given: &str| {
            let given: Vec<String> = given.split(' ').map(str::to_owned).collect();
            let stages = given.len();
            Placement::Remote(given).check(stages).err().map(|failure| failure.sentence).unwrap_or_default()
        };
        for good in ["a:7101 b:7101", "a:7101 a:7201", "[::1]:1 10.0.0.1:65535"] {
            assert_eq!(said(good), "");
        }
        for bad in
            ["a", "a:", ":1", "a:0", "a:65536", "a:b", "::1:1", "http://a:1", "a/b:1", "u@a:1", "[a:1", ""]
        {
            assert_eq!(
                said(&format!("fine:1 {bad}")),
                format!("stage 1 at '{bad}' is no address: host:port is expected")
            );
        }
        assert!(said("a:1 b:1 a:1").contains("a:1 for stage 0 and for stage 2"));
        assert!(Placement::Remote(vec!["a:1".into()]).check(2).is_err());
        assert!(Placement::Local.check(2).is_ok());
    }
}
