//! The command `layer-node import`: the tensors of a safetensors file replace the tensors that nodes keep.
//!
//! A node's newest snapshot defines the node's names and shapes. The new snapshot replaces it, and differs only in
//! the tensors that the file has: it is still of the same run, after the same updates.

use super::atomic_file::Beside;
use super::count;
use super::nodes::{Nodes, NodesFlags, Owned, Role, role};
use crate::state::checkpoint;
use clap::Args;
use proto::disk::cannot;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The counter of torch's norms, which Neuropil does not read.
const COUNTER: &str = "num_batches_tracked";

/// Flags of `layer-node import`.
#[derive(Args, Debug)]
pub struct ImportFlags {
    /// Into which.
    #[command(flatten)]
    pub nodes: NodesFlags,
    /// Leave the weights that IN does not have as they are, and say which
    #[arg(long)]
    pub partial: bool,
    /// The safetensors file to read: an export, or a state dict of torchvision's
    #[arg(value_name = "IN")]
    pub input: PathBuf,
}

/// Replaces the nodes' tensors by those of the file. B and the optimizers' state stay if the file does not have them.
/// Returns a summary in lines.
///
/// # Errors
/// When the file does not fit the nodes, or the disk operation fails; the error is one sentence. Until every new
/// snapshot is written and synced, all nodes keep their old snapshots.
pub fn import(flags: &ImportFlags) -> Result<String, String> {
    let bytes = fs::read(&flags.input);
    let bytes = bytes.map_err(|error| cannot("cannot read", &flags.input, &error, "name another file"))?;
    let given = tensors(&flags.input, &bytes)?;
    let nodes = Nodes::open_to_change(&flags.nodes)?;
    let owned = nodes.tensors()?;
    let compared = compare(&flags.input, &given, &owned)?;
    if !compared.missing.is_empty() && !flags.partial {
        let [first, more] = [compared.missing[0], &others(compared.missing.len() - 1)];
        return Err(format!(
            "{} lacks '{first}'{more}: --partial leaves as it is what the file does not have",
            flags.input.display()
        ));
    }
    replace(&nodes, &given, &owned)?;
    Ok(told(flags, &nodes, &compared))
}

fn others(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
}

/// The file's tensors by name, without torch's counters.
fn tensors<'a>(path: &Path, bytes: &'a [u8]) -> Result<BTreeMap<String, TensorView<'a>>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| {
        format!(
            "{} is no safetensors file, or torn ({error}): a .pth is converted by safetensors.torch.save_file",
            path.display()
        )
    })?;
    let counter = |name: &str| name.rsplit('.').next() == Some(COUNTER);
    Ok(file.tensors().into_iter().filter(|(name, _)| !counter(name)).collect())
}

/// The comparison of the file's names with the nodes' names.
struct Compared<'a> {
    /// The number of tensors that both have.
    replaced: usize,
    /// The tensors that a forward pass takes and the file does not have.
    missing: Vec<&'a str>,
    /// The number of tensors of B and of optimizers that the file does not have.
    kept: usize,
    /// The tensors of the file that no node has.
    foreign: Vec<&'a str>,
}

fn compare<'a>(
    path: &Path,
    given: &'a BTreeMap<String, TensorView>,
    owned: &'a BTreeMap<String, Owned>,
) -> Result<Compared<'a>, String> {
    let mut compared = Compared { replaced: 0, missing: Vec::new(), kept: 0, foreign: Vec::new() };
    for (name, Owned { view: own, .. }) in owned {
        match given.get(name) {
            Some(new) if new.shape() != own.shape() || new.dtype() != own.dtype() => {
                return Err(format!(
                    "{} holds '{name}' as {} {:?} where the node has {} {:?}",
                    path.display(),
                    new.dtype(),
                    new.shape(),
                    own.dtype(),
                    own.shape()
                ));
            }
            Some(_) => compared.replaced += 1,
            None if role(name, owned) == Role::Forward => compared.missing.push(name),
            None => compared.kept += 1,
        }
    }
    compared.foreign = given.keys().filter(|name| !owned.contains_key(*name)).map(String::as_str).collect();
    if compared.replaced == 0 {
        return Err(format!(
            "{} has no tensor that these nodes have: it is of another network",
            path.display()
        ));
    }
    Ok(compared)
}

/// Writes a new snapshot for every node with replaced tensors, and puts them in place once all are written.
fn replace(
    nodes: &Nodes,
    given: &BTreeMap<String, TensorView>,
    owned: &BTreeMap<String, Owned>,
) -> Result<(), String> {
    let changed: BTreeSet<usize> =
        owned.iter().filter(|(name, _)| given.contains_key(*name)).map(|(_, owned)| owned.node).collect();
    let mut written = Vec::with_capacity(changed.len());
    for node in changed {
        let snapshot = &nodes.snapshots[node];
        let mut metadata = snapshot.metadata().map_err(|error| error.to_string())?;
        let own = owned.iter().filter(|(_, owned)| owned.node == node);
        let views: Vec<_> = own.map(|(name, owned)| (name, given.get(name).unwrap_or(&owned.view))).collect();
        checkpoint::seal(&mut metadata, views.iter().map(|(_, view)| view.data()));
        let bytes = safetensors::serialize(views, Some(metadata));
        let bytes = bytes.map_err(|error| format!("cannot encode {}: {error}", snapshot.path().display()))?;
        written.push(Beside::write(snapshot.path(), &bytes, "")?);
    }
    written.into_iter().try_for_each(Beside::put)
}

fn told(flags: &ImportFlags, nodes: &Nodes, compared: &Compared) -> String {
    let mut lines = format!(
        "{}: {} into {} of run {} after {} updates\n",
        flags.input.display(),
        count(compared.replaced, "tensor"),
        count(nodes.snapshots.len(), "node"),
        nodes.run(),
        nodes.updates()
    );
    if compared.kept > 0 {
        let kept = count(compared.kept, "tensor");
        let _ =
            writeln!(lines, "kept: {kept} of backward weights and optimizers, which the file does not have");
    }
    for name in &compared.missing {
        let _ = writeln!(lines, "kept: {name}, which the file does not have");
    }
    for name in &compared.foreign {
        let _ = writeln!(lines, "not used: {}, which none of these nodes has", name.escape_debug());
    }
    lines
}
