//! The header of a snapshot's file: its metadata, and what its first bytes say. The file may come from any program, and
//! may be cut off anywhere.

use super::layout::file;
use crate::control::HeldSnapshot;
use crate::spec::fingerprint::fingerprint;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::hash::Hasher;
use std::io::Read;
use std::path::Path;
use twox_hash::XxHash3_64;

/// The metadata key of a snapshot into which weights were imported: the name of the imported file.
pub const IMPORTED: &str = "imported";
/// The metadata key of what the updates of a snapshot have consumed, as JSON.
pub const LEDGER: &str = "ledger";
/// The metadata key of the checksum of the tensors' bytes.
pub const CHECKSUM: &str = "xxh3";
/// The metadata key of a file that was cut for one node: the node's name, as in `stage-3-backward`.
pub const PART: &str = "part";
/// The metadata key of the tensors that a part leaves to be drawn: their names, separated by spaces.
pub const DRAWN: &str = "drawn";
/// The metadata key of a part that was cut with B = W: `weight`.
pub const BACKWARD: &str = "backward";
/// The version of the files' layout.
pub const FORMAT: &str = "1";
/// The entry of a header that is no tensor.
const METADATA: &str = "__metadata__";
/// The longest header that is read; a header holds the names, shapes and metadata of a stage.
const MAX_HEADER: u64 = 100 << 20;

/// The metadata of the snapshot of `run` after `updates`.
pub fn metadata(run: &str, updates: u64) -> HashMap<String, String> {
    let updates = updates.to_string();
    let pairs = [("run", run), ("step", &updates), ("format", FORMAT)];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// Adds to a snapshot's metadata the checksum of its tensors' bytes, in the order of their names.
pub fn seal<'a>(metadata: &mut HashMap<String, String>, tensors: impl Iterator<Item = &'a [u8]>) {
    metadata.insert(CHECKSUM.to_owned(), checksum(tensors));
}

pub(super) fn checksum<'a>(tensors: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = XxHash3_64::new();
    tensors.for_each(|bytes| hash.write(bytes));
    format!("{:016x}", hash.finish())
}

/// The snapshot after `updates` that lies in `folder` itself, if the file is whole and is that snapshot.
pub fn described(folder: &Path, updates: u64) -> Option<HeldSnapshot> {
    let mut file = File::open(file(folder, updates)).ok()?;
    let size = file.metadata().ok()?.len();
    read_header(&mut file, size, updates)
}

/// The snapshot after `updates`, as its header describes it. `None` if the file of `size` bytes is longer or shorter
/// than its header says, or was not written as that snapshot.
pub fn read_header(file: &mut impl Read, size: u64, updates: u64) -> Option<HeldSnapshot> {
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(MAX_HEADER)).read_to_end(&mut header).ok()?;
    let header: Map<String, Value> = serde_json::from_slice(&header).ok()?;
    let end = |entry: &Value| entry["data_offsets"][1].as_u64();
    let data = header.values().filter_map(end).max().unwrap_or(0);
    let whole = length.checked_add(data)?.checked_add(8)? == size;
    let said = header.get(METADATA)?;
    let own = said["format"] == FORMAT && said["step"].as_str() == Some(updates.to_string().as_str());
    let run = said["run"].as_str().filter(|_| whole && own)?.to_owned();
    let tensors =
        header.iter().filter(|(name, _)| *name != METADATA).map(shaped).collect::<Option<Vec<_>>>()?;
    let tensors = fingerprint(tensors.iter().map(|(name, shape)| (*name, shape.as_slice())));
    Some(HeldSnapshot { run, updates, imported: said.get(IMPORTED).is_some(), tensors })
}

/// The name and the shape of a tensor in a header.
fn shaped<'a>((name, entry): (&'a String, &Value)) -> Option<(&'a str, Vec<u64>)> {
    let shape = entry["shape"].as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
    Some((name, shape))
}
