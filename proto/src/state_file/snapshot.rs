//! Reading of snapshots: a snapshot is checked to its last byte, and moved away if it is damaged.

use super::error::{StateFileError, io_error, torn};
use super::header::{CHECKSUM, FORMAT, checksum};
use super::layout::{file, step_folder};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A snapshot's bytes, and the run and step that its header names.
pub struct Snapshot {
    path: PathBuf,
    bytes: Vec<u8>,
    /// The run that wrote it.
    pub run: String,
    /// The number of updates that the snapshot has seen.
    pub updates: u64,
}

impl Snapshot {
    /// Reads and checks the snapshot after `updates`.
    ///
    /// # Errors
    /// When the snapshot does not exist, is torn or damaged, or has another format.
    pub fn open(state_dir: &Path, updates: u64) -> Result<Self, StateFileError> {
        Self::at(file(state_dir, updates), updates)
    }

    /// As [`Snapshot::open`], from the file at `path`.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn at(path: PathBuf, updates: u64) -> Result<Self, StateFileError> {
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StateFileError::Gone {
                path: path.clone(),
                why: "is not there: give --nodes that keep the run's state, in their order, or resume at a step that all have".into(),
            },
            _ => io_error("cannot read the state in", &path)(error),
        })?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| torn(&path, &error))?;
        SafeTensors::deserialize(&bytes).map_err(|error| torn(&path, &error))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let read = |key: &str| metadata.get(key).cloned().unwrap_or_default();
        if read("format") != FORMAT || read("step") != updates.to_string() {
            let why = "was not written as a snapshot of this format: use another one".into();
            return Err(StateFileError::Unusable { path, why });
        }
        let snapshot = Self { run: read("run"), updates, path, bytes };
        let bytes = checksum(snapshot.tensors()?.iter().map(|(_, tensor)| tensor.data()));
        // Earlier releases wrote no checksum.
        if metadata.get(CHECKSUM).is_some_and(|written| *written != bytes) {
            let why = "damaged (its bytes are not those that were written)".into();
            return Err(StateFileError::Damaged { path: snapshot.path, why });
        }
        Ok(snapshot)
    }

    /// Opens a snapshot as [`Snapshot::open`] does. A torn or damaged snapshot is moved away first: it is then
    /// neither offered to the coordinator nor removed as an old snapshot.
    ///
    /// # Errors
    /// As [`Snapshot::open`]; [`StateFileError::Gone`] if the snapshot was moved.
    pub fn open_or_retire(state_dir: &Path, updates: u64) -> Result<Self, StateFileError> {
        let (path, why) = match Self::open(state_dir, updates) {
            Err(StateFileError::Damaged { path, why }) => (path, why),
            opened => return opened,
        };
        let name = format!("damaged-step-{updates:08}");
        let [from, to] = [step_folder(state_dir, updates), state_dir.join(&name)];
        let moved = match fs::remove_dir_all(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::rename(&from, &to),
        };
        moved.map_err(io_error("cannot move away the damaged state in", &from))?;
        let why = format!(
            "was {why} and lies in {name} now: --resume auto takes the newest snapshot that all nodes still have"
        );
        Err(StateFileError::Gone { path, why })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file, and its bytes.
    pub fn into_file(self) -> (PathBuf, Vec<u8>) {
        (self.path, self.bytes)
    }

    /// The file's metadata by key, without the checksum: another file has other bytes.
    ///
    /// # Errors
    /// When the file is torn.
    pub fn metadata(&self) -> Result<HashMap<String, String>, StateFileError> {
        let header = SafeTensors::read_metadata(&self.bytes);
        let (_, header) = header.map_err(|error| torn(&self.path, &error))?;
        let mut metadata = header.metadata().clone().unwrap_or_default();
        metadata.remove(CHECKSUM);
        Ok(metadata)
    }

    /// The tensors by name, sorted.
    ///
    /// # Errors
    /// When the file is torn.
    pub fn tensors(&self) -> Result<Vec<(String, TensorView<'_>)>, StateFileError> {
        let tensors = SafeTensors::deserialize(&self.bytes);
        let mut tensors = tensors.map_err(|error| torn(&self.path, &error))?.tensors();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(tensors)
    }
}
