//! Files of JSON: read, written whole, and appended to.

use crate::run_error::{Cause, RunError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Reads a JSON file of the run in `path`.
///
/// # Errors
/// When it is not there or no JSON.
pub fn read<T: for<'de> Deserialize<'de>>(path: &Path, name: &str) -> Result<T, RunError> {
    let file = path.join(name);
    let bytes = fs::read(&file).map_err(|error| {
        RunError::configuration(format!(
            "cannot read {} ({error}): --run takes the folder of a run",
            file.display()
        ))
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| RunError::configuration(format!("{} is damaged: {error}", file.display())))
}

/// A whole file.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, RunError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(RunError::internal)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Adds a line.
pub(super) fn append(file: &mut File, path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let mut line = serde_json::to_vec(value).map_err(RunError::internal)?;
    line.push(b'\n');
    file.write_all(&line).map_err(|error| unwritable(path, &error))
}

/// Writes beside the place and renames, so that a reader finds the file whole.
///
/// # Errors
/// When the disk says no.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = path.with_extension("writing");
    let written = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        // Else a crash of the host may leave the new name with nothing in it.
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // And else it may bring the old file back.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|error| unwritable(path, &error))
}

/// Removes a file that may be there.
///
/// # Errors
/// When the disk says no.
pub(super) fn remove(path: &Path) -> Result<(), RunError> {
    match fs::remove_file(path) {
        // A folder of that name is nothing that a run has written.
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Err(unwritable(path, &error))
        }
        _ => Ok(()),
    }
}

/// The failure of a file that could not be written.
pub fn unwritable(path: &Path, error: &std::io::Error) -> RunError {
    RunError::new(
        Cause::Internal,
        format!("cannot write {} ({error}): make room there, or choose another --run-dir", path.display()),
    )
}
