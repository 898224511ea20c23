//! Tests of stages whose W and B are on two hosts (`pipeline.placement`): the bits are those of one host, no process has
//! both, and what goes wrong with a backward node is told as of any node.

mod digests;
mod harmed;
mod hosts;
mod leaks;
mod proven;
mod refusals;
mod strangers;

use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of all snapshots in a state folder, the oldest first.
fn snapshots(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).unwrap_or_else(|error| panic!("{}: {error}", state.display()));
    let files = entries.flatten().map(|entry| entry.path().join("stage.safetensors"));
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The bytes of the tensors in a snapshot, by name.
fn tensors(snapshot: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(snapshot).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    all.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}
