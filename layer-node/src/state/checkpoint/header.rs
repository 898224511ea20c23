//! The header of a snapshot's file, read from its first bytes: the file may come from any program, and may be cut off
//! anywhere.

use proto::control::HeldSnapshot;
use serde_json::{Map, Value};
use std::io::Read;

/// The metadata key of a snapshot into which weights were imported: the name of the imported file.
pub const IMPORTED: &str = "imported";
/// The version of the files' layout.
pub const FORMAT: &str = "1";
/// The longest header that is read; a header holds the names, shapes and metadata of a stage.
const MAX_HEADER: u64 = 100 << 20;

/// The snapshot after `updates`, as its header describes it. `None` if the file of `size` bytes is longer or shorter
/// than its header says, or was not written as that snapshot.
pub fn read(file: &mut impl Read, size: u64, updates: u64) -> Option<HeldSnapshot> {
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(MAX_HEADER)).read_to_end(&mut header).ok()?;
    let header: Map<String, Value> = serde_json::from_slice(&header).ok()?;
    let end = |entry: &Value| entry["data_offsets"][1].as_u64();
    let data = header.values().filter_map(end).max().unwrap_or(0);
    let whole = length.checked_add(data)?.checked_add(8)? == size;
    let said = header.get("__metadata__")?;
    let own = said["format"] == FORMAT && said["step"].as_str() == Some(updates.to_string().as_str());
    let run = said["run"].as_str().filter(|_| whole && own)?.to_owned();
    Some(HeldSnapshot { run, updates, imported: said.get(IMPORTED).is_some() })
}
