//! How a command speaks with nodes that the user has started.

use crate::prepare::Placement;
use crate::run_error::RunError;
use futures::future::try_join_all;
use proto::identity::Identity;
use proto::link::Role;
use proto::transport::address::path_of;
use proto::transport::tls::{Security, TlsFlags};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long the resolver may take to find the nodes' names, before they are dialed.
const LOOK_UP: Duration = Duration::from_secs(2);

/// The nodes at these control addresses: one per stage, and one per stage that is split.
///
/// # Errors
/// As [`open`].
pub(super) async fn remote(
    nodes: Vec<String>,
    backward_nodes: Vec<String>,
    flags: &TlsFlags,
) -> Result<Placement, RunError> {
    let security = open(&nodes, &backward_nodes, flags).await?;
    Ok(Placement::Remote { nodes, backward_nodes, security })
}

/// The security of the flags, if it fits the addresses in --nodes and --backward-nodes.
///
/// # Errors
/// A sentence about a file that cannot be used, a certificate that is not the coordinator's or that meets a socket of this
/// host, or an address beyond loopback to which plaintext would go.
pub(super) async fn open(
    nodes: &[String],
    backward_nodes: &[String],
    flags: &TlsFlags,
) -> Result<Security, RunError> {
    let security = flags.open().map_err(RunError::configuration)?;
    let flags = [("--nodes", nodes), ("--backward-nodes", backward_nodes)];
    let named = || flags.iter().flat_map(|(flag, nodes)| nodes.iter().map(move |node| (*flag, node)));
    for (flag, node) in named().filter(|(_, node)| path_of(node).is_some()) {
        security.check_unix(&format!("{flag} {node}")).map_err(RunError::configuration)?;
    }
    match security.identity().as_ref().map(Identity::role) {
        Some(Role::Coordinator) => {}
        Some(Role::Stage(_) | Role::Backward(_) | Role::Node) => {
            return Err(RunError::configuration(
                "--tls-cert is a stage's: give the coordinator the certificate of the coordinator",
            ));
        }
        None => {
            let near = named().map(async |(flag, node)| {
                // A name that cannot be resolved yet is dialed until the deadline, and checked again by then.
                let Ok(Ok(mut addresses)) = timeout(LOOK_UP, lookup_host(node)).await else { return Ok(()) };
                let what = format!("{flag} {node}");
                let near = |address: SocketAddr| security.check_reach(&what, address.ip());
                addresses.try_for_each(near).map_err(RunError::configuration)
            });
            try_join_all(near).await?;
        }
    }
    Ok(security)
}
