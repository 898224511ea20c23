//! The nodes of a run: processes started here, or addresses given by hand.

mod local;
mod process;

pub use local::{LocalNodes, find_binary};

use futures::future::join_all;
use proto::client::{CallError, Node};
use proto::control::Description;
use std::time::Duration;

/// Dials every node at once; each answers with what it is, or fails on its own.
pub async fn check(addresses: &[String], deadline: Duration) -> Vec<Result<Description, CallError>> {
    join_all(addresses.iter().map(async |address| Ok(Node::dial(address, deadline).await?.1))).await
}
