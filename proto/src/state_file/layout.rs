//! The layout of snapshots in a state folder.

use super::error::{StateFileError, io_error};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file of a snapshot in its folder.
pub(crate) const FILE: &str = "stage.safetensors";
/// The prefix of the folder of a snapshot that is being written.
const WRITING: &str = ".writing-";

/// The folder of the snapshot after `updates`.
pub fn step_folder(state_dir: &Path, updates: u64) -> PathBuf {
    state_dir.join(format!("step-{updates:08}"))
}

/// The file of the snapshot after `updates`.
pub fn file(state_dir: &Path, updates: u64) -> PathBuf {
    step_folder(state_dir, updates).join(FILE)
}

/// The complete snapshots in `state_dir`, ascending.
///
/// # Errors
/// When the folder cannot be read. A folder that does not exist has no snapshots.
pub fn list(state_dir: &Path) -> Result<Vec<u64>, StateFileError> {
    let entries = match fs::read_dir(state_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("cannot read the folder", state_dir)(error)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let steps = names.filter_map(|name| name.strip_prefix("step-")?.parse::<u64>().ok());
    let mut steps: Vec<u64> = steps.filter(|&step| file(state_dir, step).is_file()).collect();
    steps.sort_unstable();
    Ok(steps)
}

/// The folder of a snapshot that is being written.
pub(super) fn writing(state_dir: &Path, updates: u64) -> PathBuf {
    state_dir.join(format!("{WRITING}{updates:08}"))
}

/// The folders of unfinished snapshots. A dead node left them, because the calling node is not writing.
pub fn unfinished(state_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state_dir).into_iter().flatten().flatten();
    let left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(WRITING);
    entries.filter(left).map(|entry| entry.path()).collect()
}
