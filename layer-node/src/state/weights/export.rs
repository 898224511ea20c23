//! The command `layer-node export`: it writes the weights of one or several nodes to one safetensors file.

use super::atomic_file::Beside;
use super::count;
use super::nodes::{Nodes, NodesFlags, Role, role};
use super::numbers::not_finite;
use crate::state::checkpoint;
use clap::Args;
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
    let wanted = |name: &str| flags.with_optimizer || role(name, &tensors) != Role::Optimizer;
    let views: Vec<_> =
        tensors.iter().filter(|(name, _)| wanted(name)).map(|(name, owned)| (name, &owned.view)).collect();
    let written = count(views.len(), "tensor");

    let mut metadata = nodes.snapshots[0].metadata().map_err(|error| error.to_string())?;
    // An export is no snapshot into which weights were imported.
    metadata.remove(checkpoint::IMPORTED);
    for other in &nodes.snapshots[1..] {
        let other = other.metadata().map_err(|error| error.to_string())?;
        metadata.retain(|key, value| other.get(key) == Some(value));
    }
    let bytes = safetensors::serialize(views, Some(metadata));
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
    for (name, owned) in tensors.iter().filter(|(name, _)| wanted(name)) {
        if let Some(found) = not_finite(&owned.view).map_err(|error| error.to_string())? {
            let _ = writeln!(lines, "not finite: {name}, of which {found}");
        }
    }
    Ok(lines)
}
