//! The nodes of a run: local processes, or addresses that the user gives.

mod environment;
mod local;
mod log;
mod process;
mod rooms;
mod sockets;
mod starved;

pub use local::{LocalNodes, find_binary};
pub use rooms::{Rooms, temporary};

use crate::config::Node as Settings;
use crate::driver::{FailureCollector, NodeAddress};
use crate::prepare::Placement;
use crate::run_error::RunError;
use futures::future::{join_all, try_join_all};
use proto::client::Node;
use proto::control::Description;
use proto::failure::Failure;
use proto::identity::Identity;
use proto::link::{Peer, Role};
use proto::process::room;
use proto::transport::tls::Security;
use proto::transport::waiting::Waiting;
use std::time::Duration;

/// The threads that a coordinator adds in a run: the feeder, and one that loads.
const THREADS: usize = 2;
/// The files and sockets that a coordinator adds in a run, beside those for each node: the run's files, and the ends of
/// the ring.
const FILES: usize = 16;
/// The files and sockets of a coordinator for each node that it connects to.
const FILES_PER_NODE: usize = 2;

/// A node that has answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The node's description.
    pub description: Description,
    /// The identity that the node has proved; `None` in plaintext.
    pub identity: Option<Identity>,
}

/// Dials every node at once. Each node answers with its description, or fails on its own.
pub async fn check(
    security: &Security,
    peers: &[Peer],
    deadline: Duration,
) -> Vec<Result<Answered, Failure>> {
    let dial = async |peer| {
        let (node, description) = Node::dial(security, peer, deadline).await?;
        Ok(Answered { description, identity: node.identity().cloned() })
    };
    join_all(peers.iter().map(dial)).await
}

/// Waits until every node has answered with its description. The log names the nodes that are missing if that takes
/// long.
///
/// # Errors
/// The first node that refuses, or that has not answered at the deadline.
pub async fn wait_for(
    security: &Security,
    peers: &[Peer],
    deadline: Duration,
) -> Result<Vec<Description>, Failure> {
    let waiting = Waiting::default();
    let dial = async |peer| {
        Node::wait_for(security, peer, deadline, &waiting).await.map(|(_, description)| description)
    };
    waiting.logged(try_join_all(peers.iter().map(dial))).await
}

/// The nodes of a run.
pub enum Nodes {
    /// Processes on this host, which end with the run.
    Local(LocalNodes),
    /// Nodes at addresses that the user gave.
    Remote(Vec<NodeAddress>),
}

impl Nodes {
    /// Starts local nodes of these `roles`, with their files in `rooms`, or takes the given addresses. A local node
    /// that ends by itself is reported to `failures`.
    ///
    /// # Errors
    /// A number of addresses that is not that of the roles, or a node that could not be started.
    pub async fn find(
        placement: &Placement,
        roles: &[Role],
        settings: &Settings,
        rooms: &Rooms,
        failures: &FailureCollector,
    ) -> Result<Self, RunError> {
        placement.check(roles)?;
        match placement {
            Placement::Local => LocalNodes::start(roles, rooms, settings, failures).await.map(Nodes::Local),
            Placement::Remote { nodes, backward_nodes, .. } => {
                let needs = room::Needs {
                    what: "a run",
                    threads: THREADS,
                    others: 0,
                    files: roles.len() * FILES_PER_NODE + FILES,
                    otherwise: "",
                };
                room::check(needs).map_err(RunError::configuration)?;
                let address = |control: &String| NodeAddress { control: control.clone() };
                Ok(Nodes::Remote(nodes.iter().chain(backward_nodes).map(address).collect()))
            }
        }
    }

    /// The nodes' addresses, in the order of their roles.
    pub fn addresses(&self) -> &[NodeAddress] {
        match self {
            Nodes::Local(nodes) => &nodes.addresses,
            Nodes::Remote(addresses) => addresses,
        }
    }

    /// The most memory that each local node's process has had resident, in bytes, in the order of the nodes.
    pub fn peaks(&self) -> Vec<Option<u64>> {
        match self {
            Nodes::Local(nodes) => nodes.peaks(),
            Nodes::Remote(_) => Vec::new(),
        }
    }

    /// Stops local nodes, which write their state first.
    pub async fn stop(self) {
        if let Nodes::Local(nodes) = self {
            nodes.stop().await;
        }
    }
}
