//! `coordinator check`: dials nodes and shows what they say.

use super::flags::addresses;
use super::security;
use crate::console::answer;
use crate::node::{self, Answered};
use crate::run_error::RunError;
use clap::Args;
use proto::failure::{Failure, FailureKind};
use proto::identity::Identity;
use proto::link::{Peer, Role};
use proto::transport::tls::{TlsFlags, date};
use std::time::{Duration, UNIX_EPOCH};

/// The width of the column of devices, where none has a longer name.
const DEVICE: usize = 8;
/// The widths of the column of identities: for `plaintext`, and for `stage 123, backward` or `plaintext, backward`.
const STAGE: usize = 10;
const HALF: usize = 19;

#[derive(Args, Debug)]
pub(super) struct CheckFlags {
    /// Control addresses of the layer nodes
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// Control addresses of the layer nodes that keep the B of split layers
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    backward_nodes: Vec<String>,
    #[command(flatten)]
    tls: TlsFlags,
    /// Seconds within which each node must answer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    deadline: u64,
}

/// Whether a node is to be a stage, or to keep the B of a stage's split layers.
#[derive(Clone, Copy, Debug)]
enum Place {
    Stage,
    Backward,
}

/// Prints one line for each node: those of --nodes, and then those of --backward-nodes.
///
/// # Errors
/// The first node that did not answer or is not what its flag says, and the number of others.
pub(super) async fn check(mut flags: CheckFlags) -> Result<(), RunError> {
    flags.backward_nodes = addresses(flags.backward_nodes);
    once(&flags.nodes, &flags.backward_nodes)?;
    let addresses = [&flags.nodes[..], &flags.backward_nodes].concat();
    let security = security::open(&flags.nodes, &flags.backward_nodes, &flags.tls).await?;
    let deadline = Duration::from_secs(flags.deadline);
    let (mut failed, mut first) = (0, None);
    let width = if flags.backward_nodes.is_empty() { STAGE } else { HALF };
    let peers: Vec<_> = addresses.iter().map(Peer::node).collect();
    let places = flags.nodes.iter().map(|_| Place::Stage).chain(std::iter::repeat(Place::Backward));
    let answers = node::check(&security, &peers, deadline).await;
    let devices = answers.iter().flatten().map(|found| found.description.device.len());
    let widths = [devices.max().unwrap_or(0).max(DEVICE), width];
    let [device, width] = widths;
    answer(format_args!(
        "{:<28} {:<10} {:<device$} {:>7} {:>21}   {:<width$} {:<11} run\n",
        "control address", "release", "device", "threads", "memory free of all", "identity", "expires"
    ))?;
    for ((address, found), place) in addresses.iter().zip(answers).zip(places) {
        match found.and_then(|found| expected(address, place, found)) {
            Ok(found) => answer(format_args!("{}", line(address, place, &found, widths)))?,
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

/// Checks that every node is named once.
///
/// # Errors
/// The first address that is named twice.
fn once(nodes: &[String], backward_nodes: &[String]) -> Result<(), RunError> {
    let all: Vec<_> = nodes.iter().chain(backward_nodes).collect();
    let Some(at) = (0..all.len()).find(|&at| all[..at].contains(&all[at])) else { return Ok(()) };
    let flags = match (nodes.contains(all[at]), at < nodes.len()) {
        (_, true) => "--nodes names",
        (true, false) => "--nodes and --backward-nodes name",
        (false, false) => "--backward-nodes names",
    };
    Err(RunError::configuration(format!(
        "{flags} {} twice: a node is one stage or the half of one, so name every node once",
        all[at]
    )))
}

/// The node's answer, if its identity fits its flag.
///
/// # Errors
/// A stage among the backward nodes, or the reverse.
fn expected(address: &str, place: Place, found: Answered) -> Result<Answered, Failure> {
    let refused = |role: &Role, due: &str, flag: &str| {
        let sentence = format!("the node at {address} is {role}, where {due} is due: name it in {flag}");
        Err(Failure::new(FailureKind::Identity, sentence))
    };
    match (place, found.identity.as_ref().map(Identity::role)) {
        (Place::Stage, Some(role @ Role::Backward(_))) => refused(&role, "a stage", "--backward-nodes"),
        (Place::Backward, Some(role @ Role::Stage(_))) => refused(&role, "a backward node", "--nodes"),
        _ => Ok(found),
    }
}

/// A node's line. The date is that of its certificate's end; a node without a certificate is what its flag says.
fn line(
    address: &str,
    place: Place,
    Answered { description: node, identity }: &Answered,
    [device, width]: [usize; 2],
) -> String {
    let memory = memory(node.memory_available, node.memory_total);
    let run = node.run.as_deref().unwrap_or("idle");
    let certificate = match node.certificate_expires {
        0 => "–".into(),
        seconds => date(UNIX_EPOCH + Duration::from_secs(seconds)),
    };
    let identity = match (place, identity) {
        (_, Some(identity)) => identity.role().to_string(),
        (Place::Stage, None) => "plaintext".into(),
        (Place::Backward, None) => "plaintext, backward".into(),
    };
    format!(
        "{address:<28} {:<10} {:<device$} {:>7} {memory:>21}   {identity:<width$} {certificate:<11} {run}\n",
        node.version, node.device, node.threads
    )
}

/// Both numbers in the unit that suits the larger one, which is small under a limit.
fn memory(available: u64, total: u64) -> String {
    let (shift, unit) = if total >= 1 << 30 { (30, "GiB") } else { (20, "MiB") };
    let of = |bytes: u64| bytes as f64 / f64::from(1 << shift);
    format!("{:.1} of {:.1} {unit}", of(available), of(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::Description;

    fn answered(identity: Option<&str>) -> Answered {
        let description = Description {
            version: "1.0.0".into(),
            protocol: 3,
            device: "cpu".into(),
            threads: 2,
            memory_total: 4 << 30,
            memory_available: 1 << 30,
            data: proto::control::DataAddress::Port(7201),
            run: None,
            snapshots: Vec::new(),
            certificate_expires: 0,
        };
        Answered { description, identity: identity.map(|uri| uri.parse().unwrap()) }
    }

    #[test]
    fn a_node_is_what_its_flag_says() {
        let shown = |place, identity| {
            let found = expected("a:7101", place, answered(identity)).map_err(|failure| failure.sentence)?;
            Ok::<_, String>(line("a:7101", place, &found, [DEVICE, HALF]))
        };
        let stage = Some("neuropil:lab:stage:3");
        let backward = Some("neuropil:lab:stage:3:backward");
        for (place, identity, says) in [
            (Place::Stage, stage, "   stage 3             –"),
            (Place::Stage, None, "   plaintext           –"),
            (Place::Backward, backward, "   stage 3, backward   –"),
            (Place::Backward, None, "   plaintext, backward –"),
        ] {
            let line = shown(place, identity).unwrap();
            assert!(line.contains(says) && line.ends_with(" idle\n"), "{line}");
        }
        let said = shown(Place::Stage, backward).unwrap_err();
        let due =
            "the node at a:7101 is stage 3, backward, where a stage is due: name it in --backward-nodes";
        assert_eq!(said, due);
        let said = shown(Place::Backward, stage).unwrap_err();
        assert!(said.ends_with("is stage 3, where a backward node is due: name it in --nodes"), "{said}");
    }

    #[test]
    fn a_node_is_named_once() {
        let said = |nodes: &str, backward: &str| {
            let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            once(&list(nodes), &list(backward)).err().map(|error| error.sentence).unwrap_or_default()
        };
        assert_eq!(said("a:1 b:1", "a:2"), "");
        assert!(said("a:1 b:1 a:1", "").starts_with("--nodes names a:1 twice: a node is one stage or"));
        assert!(said("a:1", "b:1 a:1").starts_with("--nodes and --backward-nodes name a:1 twice: "));
        assert!(said("a:1", "b:1 b:1").starts_with("--backward-nodes names b:1 twice: "));
    }
}
