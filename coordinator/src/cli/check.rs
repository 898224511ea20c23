//! `coordinator check`: dials nodes and shows what they say.

use super::security;
use crate::console::answer;
use crate::node::{self, Answered};
use crate::run_error::RunError;
use clap::Args;
use proto::identity::Identity;
use proto::link::{Peer, Role};
use proto::transport::tls::{TlsFlags, date};
use std::time::{Duration, UNIX_EPOCH};

#[derive(Args, Debug)]
pub(super) struct CheckFlags {
    /// Control addresses of the layer nodes
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    #[command(flatten)]
    tls: TlsFlags,
    /// Seconds within which each node must answer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    deadline: u64,
}

/// Prints one line for each node.
///
/// # Errors
/// The first node that did not answer, and the number of others.
pub(super) async fn check(flags: CheckFlags) -> Result<(), RunError> {
    let security = security::open(&flags.nodes, &flags.tls).await?;
    let deadline = Duration::from_secs(flags.deadline);
    let (mut failed, mut first) = (0, None);
    answer(format_args!(
        "{:<28} {:<10} {:<8} {:>7} {:>21}   {:<10} {:<11} run\n",
        "control address", "release", "device", "threads", "memory free of all", "identity", "expires"
    ))?;
    let peers: Vec<_> = flags.nodes.iter().map(Peer::node).collect();
    for (address, found) in flags.nodes.iter().zip(node::check(&security, &peers, deadline).await) {
        match found {
            Ok(found) => answer(format_args!("{}", line(address, &found)))?,
            Err(error) => {
                answer(format_args!("{address:<28} {error}\n"))?;
                failed += 1;
                first.get_or_insert(error);
            }
        }
    }
    match first {
        None => Ok(()),
        Some(error) if failed == 1 => Err(error.into()),
        Some(error) => Err(RunError::node(format!("{error}; and {} more", failed - 1))),
    }
}

/// A node's line. The date is that of its certificate's end.
fn line(address: &str, Answered { description: node, identity }: &Answered) -> String {
    let memory = memory(node.memory_available, node.memory_total);
    let run = node.run.as_deref().unwrap_or("idle");
    let certificate = match node.certificate_expires {
        0 => "–".into(),
        seconds => date(UNIX_EPOCH + Duration::from_secs(seconds)),
    };
    let identity = match identity.as_ref().map(Identity::role) {
        Some(Role::Stage(index)) => format!("stage {index}"),
        _ => "plaintext".into(),
    };
    format!(
        "{address:<28} {:<10} {:<8} {:>7} {memory:>21}   {identity:<10} {certificate:<11} {run}\n",
        node.version, node.device, node.threads
    )
}

/// Both numbers in the unit that suits the larger one, which is small under a limit.
fn memory(available: u64, total: u64) -> String {
    let (shift, unit) = if total >= 1 << 30 { (30, "GiB") } else { (20, "MiB") };
    let of = |bytes: u64| bytes as f64 / f64::from(1 << shift);
    format!("{:.1} of {:.1} {unit}", of(available), of(total))
}
