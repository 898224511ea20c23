//! Files that are read and written whole, and locks on files.

use crate::run_error::RunError;
use proto::disk::cannot;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Reads a JSON file of the run in `folder`; `elsewhere` says how the user names another folder.
///
/// # Errors
/// A file that is missing, or is no such JSON.
pub fn read<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str, elsewhere: &str) -> Result<T, RunError> {
    let file = folder.join(name);
    let bytes = fs::read(&file)
        .map_err(|error| RunError::configuration(cannot("cannot read", &file, &error, elsewhere)))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| RunError::configuration(format!("{} is damaged: {error}", file.display())))
}

/// Writes a JSON file.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(RunError::internal)?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Writes a temporary file beside `path` and renames it, so that a reader always finds a whole file. The caller has
/// locked the folder: the temporary file has the same name for every process.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = path.with_extension("writing");
    let written = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        // Without this sync, a crash of the host may leave the new name with an empty file.
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // Without this sync, a crash of the host may bring the old file back.
        File::open(folder_of(path))?.sync_all()
    };
    written().map_err(|error| unwritable(path, &error))
}

/// As [`write()`], in a folder that other processes may write to as well: each has a temporary file of its own, and the
/// last to be done replaces the file. What is no regular file, such as `/dev/stdout`, is written to directly.
///
/// # Errors
/// The system's error.
pub fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A symbolic link stays, and the file that it leads to is replaced.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if place.exists() && !place.is_file() {
        return fs::write(&place, bytes);
    }
    let mut beside = tempfile::Builder::new();
    // The file has the permissions of any new file, and not those of a temporary one.
    let mut file = beside.prefix(".neuropil-").make_in(folder_of(&place), |path| File::create_new(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&place)?;
    Ok(())
}

/// The folder in which `path` lies.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
    taken(file.try_lock())
}

/// As [`lock`], together with other readers: only a process that holds the lock alone excludes this lock.
///
/// # Errors
/// A file system without locks.
pub fn lock_shared(file: &File) -> io::Result<bool> {
    taken(file.try_lock_shared())
}

fn taken(locked: Result<(), TryLockError>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The failure for a file of a run's or a sweep's folder that could not be written.
pub fn unwritable(path: &Path, error: &io::Error) -> RunError {
    RunError::internal(cannot("cannot write", path, error, "choose another --run-dir"))
}
