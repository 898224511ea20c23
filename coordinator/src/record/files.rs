//! Files that are read and written whole, and locks on files.

use crate::run_error::{Cause, RunError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Reads a JSON file of the run in `folder`.
///
/// # Errors
/// A file that is missing, or is no such JSON.
pub fn read<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> Result<T, RunError> {
    let file = folder.join(name);
    let bytes = fs::read(&file).map_err(|error| {
        RunError::configuration(format!(
            "cannot read {} ({error}): --run takes the folder of a run",
            file.display()
        ))
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| RunError::configuration(format!("{} is damaged: {error}", file.display())))
}

/// Writes a JSON file.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(RunError::internal)?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Writes a temporary file beside `path` and renames it, so that a reader always finds a whole file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = path.with_extension("writing");
    let written = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        // Without this sync, a crash of the host may leave the new name with an empty file.
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // Without this sync, a crash of the host may bring the old file back.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|error| unwritable(path, &error))
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> Result<(), RunError> {
    match fs::remove_file(path) {
        // A folder of that name is no error, because it is not the run's.
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            Err(unwritable(path, &error))
        }
        _ => Ok(()),
    }
}

/// Locks a file or folder, until every copy of the handle is closed; `false` if another process holds the lock.
///
/// # Errors
/// A file system without locks.
pub fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The failure for a file that could not be written.
pub fn unwritable(path: &Path, error: &io::Error) -> RunError {
    RunError::new(
        Cause::Internal,
        format!("cannot write {} ({error}): make room there, or choose another --run-dir", path.display()),
    )
}
