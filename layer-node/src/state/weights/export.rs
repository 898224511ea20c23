//! The command `layer-node export`: it writes the weights of one or several nodes to one safetensors file.

use super::atomic_file::Beside;
use super::count;
use super::nodes::{Nodes, NodesFlags, described};
use crate::state::checkpoint::{self, Snapshot};
use clap::Args;
use proto::spec::state::{StateTensor, TensorRole};
use proto::weights::not_finite;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

/// Flags of `layer-node export`.
#[derive(Args, Debug)]
pub struct ExportFlags {
    /// From where.
    #[command(flatten)]
    pub nodes: NodesFlags,
    /// Also write what the optimizers keep of each parameter
    #[arg(long)]
    pub with_optimizer: bool,
    /// Write no B: only what a forward pass takes, by the names that torchvision's networks have
    #[arg(long, conflicts_with = "with_optimizer")]
    pub forward_only: bool,
    /// Replace OUT where it exists
    #[arg(long)]
    pub force: bool,
    /// The safetensors file to write
    pub out: PathBuf,
}

/// Merges the snapshots into one file, under their names and with the metadata that they share. Returns a summary in
/// one line, and a line for each tensor with numbers that are not finite.
///
/// # Errors
/// When a snapshot or the file does not permit the export; no file is written then, and the error is one sentence.
pub fn export(flags: &ExportFlags) -> Result<String, String> {
    let out = flags.out.display();
    if flags.out.exists() && !flags.out.is_file() {
        let what = if flags.out.is_dir() { "a folder" } else { "no regular file" };
        return Err(format!("{out} is {what}: name the file to write"));
    }
    let exists = || Err(format!("{out} exists: name another file, or replace it with --force"));
    if flags.out.exists() && !flags.force {
        return exists();
    }
    let nodes = Nodes::open(&flags.nodes)?;
    let tensors = nodes.tensors()?;
    let described = described(&tensors);
    let wanted = |tensor: &&StateTensor| match tensor.role {
        TensorRole::Forward => true,
        TensorRole::Backward | TensorRole::Fixed => !flags.forward_only,
        TensorRole::Slot { .. } => flags.with_optimizer,
    };
    let wanted = described.iter().filter(wanted);
    let views: Vec<_> = wanted.map(|tensor| (&tensor.name, &tensors[&tensor.name].view)).collect();
    let written = count(views.len(), "tensor");

    let bytes = safetensors::serialize(views.iter().copied(), Some(shared(&nodes, flags.with_optimizer)?));
    let bytes = bytes.map_err(|error| format!("cannot encode {out}: {error}"))?;
    let beside = Beside::write(&flags.out, &bytes, "name another file")?;
    // Another export may have put a file there since.
    let placed = if flags.force { beside.put().map(|()| true) } else { beside.put_new() };
    if !placed? {
        return exists();
    }
    let from = count(nodes.snapshots.len(), "node");
    let mut lines = format!(
        "{out}: {written}, {} bytes, from {from} of run {} after {} updates\n",
        bytes.len(),
        nodes.run(),
        nodes.updates()
    );
    for (name, view) in views {
        if let Some(found) = not_finite(view) {
            let _ = writeln!(lines, "not finite: {name}, of which {found}");
        }
    }
    Ok(lines)
}

/// The metadata that all snapshots of `nodes` have in common. With the optimizers' state a run can go on from the export,
/// and must know that weights were imported into any of the snapshots: the export says so if it is of a `whole` state.
fn shared(nodes: &Nodes, whole: bool) -> Result<HashMap<String, String>, String> {
    let metadata = |snapshot: &Snapshot| snapshot.metadata().map_err(|error| error.to_string());
    let mut shared = metadata(&nodes.snapshots[0])?;
    let mut imported = shared.remove(checkpoint::IMPORTED);
    // An export is no part that was cut for one node.
    for key in [checkpoint::PART, checkpoint::DRAWN, checkpoint::BACKWARD] {
        shared.remove(key);
    }
    for other in &nodes.snapshots[1..] {
        let mut other = metadata(other)?;
        imported = imported.or(other.remove(checkpoint::IMPORTED));
        shared.retain(|key, value| other.get(key) == Some(value));
    }
    let imported = imported.filter(|_| whole);
    shared.extend(imported.map(|from| (checkpoint::IMPORTED.to_owned(), from)));
    Ok(shared)
}
