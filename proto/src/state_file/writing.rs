//! Writing of snapshots: beside the place, synced, and renamed, so that a reader finds a snapshot whole or not at all.

use super::error::{StateFileError, io_error};
use super::layout::{FILE, file, step_folder, writing};
use safetensors::tensor::TensorView;
use safetensors::{SafeTensorError, serialize_to_file};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Writes the snapshot after `updates` into `folder`, with the whole `metadata` of its file. Returns the size of the
/// file in bytes. The tensors' bytes are written piece by piece, so that a snapshot takes no memory of its own.
///
/// # Errors
/// When the disk is full or read-only. The earlier snapshots still exist then.
pub fn save(
    folder: &Path,
    updates: u64,
    tensors: Vec<(String, TensorView<'_>)>,
    metadata: HashMap<String, String>,
) -> Result<u64, StateFileError> {
    let path = file(folder, updates);
    put(folder, updates, tensors, metadata).map_err(|source| StateFileError::Io {
        doing: "cannot write the state to",
        path: path.clone(),
        source,
        elsewhere: "",
        then: "",
    })?;
    fs::metadata(&path)
        .map(|file| file.len())
        .map_err(io_error("cannot find the state that was written to", &path))
}

fn put(
    folder: &Path,
    updates: u64,
    tensors: Vec<(String, TensorView<'_>)>,
    metadata: HashMap<String, String>,
) -> io::Result<()> {
    let (temporary, place) = (writing(folder, updates), step_folder(folder, updates));
    let written = (|| {
        fs::create_dir_all(&temporary)?;
        fill(&temporary.join(FILE), tensors, metadata)?;
        File::open(&temporary)?.sync_all()?;
        if place.exists() {
            // A rewritten snapshot replaces only the file, so that the snapshot exists at every moment.
            fs::rename(temporary.join(FILE), place.join(FILE))?;
            fs::remove_dir(&temporary)?;
            return File::open(&place)?.sync_all();
        }
        fs::rename(&temporary, &place)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    written
}

/// Writes a file of state to `path`, in place of any file that is there, under a temporary name beside it first.
///
/// # Errors
/// The system's error; there is no new file then.
pub fn write(
    path: &Path,
    tensors: Vec<(String, TensorView<'_>)>,
    metadata: HashMap<String, String>,
) -> io::Result<()> {
    let temporary = path.with_extension(format!("writing-{}", std::process::id()));
    let written = (|| {
        // The file has the permissions of any new file, and not those of a temporary one.
        let usual = File::create(&temporary)?.metadata()?.permissions();
        fill(&temporary, tensors, metadata)?;
        fs::set_permissions(&temporary, usual)?;
        fs::rename(&temporary, path)?;
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes the file piece by piece, and syncs it to disk.
fn fill(
    file: &Path,
    tensors: Vec<(String, TensorView<'_>)>,
    metadata: HashMap<String, String>,
) -> io::Result<()> {
    serialize_to_file(tensors, Some(metadata), file).map_err(|error| match error {
        SafeTensorError::IoError(error) => error,
        other => io::Error::other(other),
    })?;
    File::open(file)?.sync_all()
}
