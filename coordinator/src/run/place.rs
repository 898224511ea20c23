//! Where the nodes of a run are: started here, or given by hand.

use super::prepare::Prepared;
use crate::driver::{Board, NodeAddress};
use crate::failure::Failure;
use crate::node::LocalNodes;
use std::path::Path;

/// Where the nodes of a run are.
#[derive(Clone, Debug)]
pub enum Where {
    /// Processes of this host, started and ended by the coordinator.
    Local,
    /// Control addresses, one per stage.
    Remote(Vec<String>),
}

impl Where {
    /// Checks that there is a node for each of `stages`.
    ///
    /// # Errors
    /// One sentence with both numbers.
    pub fn check(&self, stages: usize) -> Result<(), Failure> {
        match self {
            Where::Remote(given) if given.len() != stages => Err(Failure::configuration(format!(
                "--nodes names {} nodes, but pipeline.stages cuts the network into {stages} stages",
                given.len()
            ))),
            _ => Ok(()),
        }
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
        place: &Where,
        prepared: &Prepared,
        run_dir: &Path,
        board: &Board,
    ) -> Result<Self, Failure> {
        let stages = prepared.ranges.len();
        match place {
            Where::Local => {
                let threads = prepared.config.node.threads;
                LocalNodes::start(stages, run_dir, threads, board).await.map(Nodes::Local)
            }
            Where::Remote(given) => {
                place.check(stages)?;
                Ok(Nodes::Remote(
                    given.iter().map(|control| NodeAddress { control: control.clone() }).collect(),
                ))
            }
        }
    }

    /// Where they are reached.
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
