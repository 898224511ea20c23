//! The nodes of a run: processes started here, or addresses given by hand.

mod local;
mod process;

pub use local::{LocalNodes, find_binary};

use futures::future::join_all;
use proto::client::Node;
use proto::control::Description;
use proto::failure::Failure;
use proto::link::Peer;
use std::time::Duration;

/// Dials every node at once; each answers with what it is, or fails on its own.
pub async fn check(peers: &[Peer], deadline: Duration) -> Vec<Result<Description, Failure>> {
    join_all(peers.iter().map(async |peer| Ok(Node::dial(peer, deadline).await?.1))).await
}
