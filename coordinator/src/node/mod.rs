//! The nodes of a run: local processes, or addresses that the user gives.

mod local;
mod process;
mod starved;

pub use local::{LocalNodes, find_binary};

use crate::driver::{FailureCollector, NodeAddress};
use crate::prepare::{Placement, Prepared};
use crate::run_error::RunError;
use futures::future::join_all;
use proto::client::Node;
use proto::control::Description;
use proto::failure::Failure;
use proto::link::Peer;
use std::path::Path;
use std::time::Duration;

/// Dials every node at once. Each node answers with its description, or fails on its own.
pub async fn check(peers: &[Peer], deadline: Duration) -> Vec<Result<Description, Failure>> {
    join_all(peers.iter().map(async |peer| Ok(Node::dial(peer, deadline).await?.1))).await
}

/// The nodes of a run.
pub enum Nodes {
    /// Processes on this host, which end with the run.
    Local(LocalNodes),
    /// Nodes at addresses that the user gave.
    Remote(Vec<NodeAddress>),
}

impl Nodes {
    /// Starts local nodes, or takes the given addresses, one per stage. A local node that ends by itself is
    /// reported to `failures`.
    ///
    /// # Errors
    /// A number of addresses that is not the number of stages, or a node that could not be started.
    pub async fn find(
        placement: &Placement,
        prepared: &Prepared,
        run_dir: &Path,
        failures: &FailureCollector,
    ) -> Result<Self, RunError> {
        let stages = prepared.ranges.len();
        placement.check(stages)?;
        match placement {
            Placement::Local => {
                let threads = prepared.config.node.threads;
                LocalNodes::start(0..stages, run_dir, threads, failures).await.map(Nodes::Local)
            }
            Placement::Remote(given) => {
                let address = |control: &String| NodeAddress { control: control.clone() };
                Ok(Nodes::Remote(given.iter().map(address).collect()))
            }
        }
    }

    /// The nodes' addresses, by stage.
    pub fn addresses(&self) -> &[NodeAddress] {
        match self {
            Nodes::Local(nodes) => &nodes.addresses,
            Nodes::Remote(addresses) => addresses,
        }
    }

    /// Stops local nodes, which write their state first.
    pub async fn stop(self) {
        if let Nodes::Local(nodes) = self {
            nodes.stop().await;
        }
    }
}
