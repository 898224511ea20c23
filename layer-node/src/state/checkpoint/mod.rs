//! Snapshots of a stage: each is complete on disk, or does not exist.
//!
//! ```text
//! STATE_DIR/step-00000042/stage.safetensors     metadata: run, step, format, ledger, xxh3 of the tensors' bytes
//! STATE_DIR/damaged-step-00000042/              a snapshot whose bytes were changed after they were written
//! STATE_DIR/previous/RUN/step-…                 the snapshots of another run
//! ```

mod error;
mod header;
mod layout;
mod previous;
mod snapshot;

pub use error::CheckpointError;
pub(in crate::state) use error::io_error;
pub use header::IMPORTED;
pub use layout::{file, list, step_folder, unfinished};
pub use previous::{bring_back, place_of, set_aside};
pub use snapshot::Snapshot;

use crate::state::named::State;
use bytes::Bytes;
use error::{torn, unusable};
use header::FORMAT;
use layout::{FILE, writing};
use proto::control::HeldSnapshot;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, serialize_to_file};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tch::{Kind, TchError};
use xxhash_rust::xxh3::Xxh3;

/// The metadata key of what the updates of a snapshot have consumed, as JSON.
pub const LEDGER: &str = "ledger";
/// The metadata key of the checksum of the tensors' bytes.
const CHECKSUM: &str = "xxh3";

/// The snapshots that a node could be restored to, with their runs: the complete snapshots in `state_dir`, ascending,
/// and those of the runs that were set aside. Only their headers are read. A file that is shorter or longer than its
/// header says is torn and left out, and so is a file of another step or format.
///
/// # Errors
/// When the folder cannot be read.
pub fn held(state_dir: &Path) -> Result<Vec<HeldSnapshot>, CheckpointError> {
    let mut held = of_folder(state_dir)?;
    held.extend(previous::held(state_dir));
    Ok(held)
}

/// The steps of the complete snapshots that lie in `state_dir` itself, ascending.
///
/// # Errors
/// When the folder cannot be read.
pub fn whole(state_dir: &Path) -> Result<Vec<u64>, CheckpointError> {
    Ok(of_folder(state_dir)?.into_iter().map(|held| held.updates).collect())
}

fn of_folder(folder: &Path) -> Result<Vec<HeldSnapshot>, CheckpointError> {
    let steps = list(folder)?.into_iter();
    Ok(steps.filter_map(|updates| described(folder, updates)).collect())
}

/// The snapshot after `updates`, if the file is whole and is that snapshot.
fn described(state_dir: &Path, updates: u64) -> Option<HeldSnapshot> {
    let mut file = File::open(file(state_dir, updates)).ok()?;
    let size = file.metadata().ok()?.len();
    header::read(&mut file, size, updates)
}

/// The run of the snapshot after `updates`, if the file is whole and is that snapshot.
fn owner(state_dir: &Path, updates: u64) -> Option<String> {
    described(state_dir, updates).map(|held| held.run)
}

/// Writes the snapshot after `updates` of `run`, with the `ledger` of what these updates have consumed. Returns the size
/// of the file in bytes.
///
/// The snapshot is written beside its place, synced, and renamed: a reader finds it whole or not at all.
///
/// # Errors
/// When the disk is full or read-only. The earlier snapshots still exist then.
pub fn save(
    state_dir: &Path,
    run: &str,
    updates: u64,
    state: &State,
    ledger: Option<&str>,
) -> Result<u64, CheckpointError> {
    let (tensors, mut metadata) = lent(run, updates, state)?;
    metadata.extend(ledger.map(|ledger| (LEDGER.to_owned(), ledger.to_owned())));
    let path = file(state_dir, updates);
    let folder = step_folder(state_dir, updates);
    let temporary = writing(state_dir, updates);
    let written = (|| {
        fs::create_dir_all(&temporary)?;
        write(&temporary.join(FILE), &tensors, metadata)?;
        File::open(&temporary)?.sync_all()?;
        if folder.exists() {
            // A rewritten snapshot replaces only the file, so that the snapshot exists at every moment.
            fs::rename(temporary.join(FILE), &path)?;
            fs::remove_dir(&temporary)?;
            return File::open(&folder)?.sync_all();
        }
        fs::rename(&temporary, &folder)?;
        File::open(state_dir)?.sync_all()
    })();
    if let Err(error) = written {
        let _ = fs::remove_dir_all(&temporary);
        return Err(CheckpointError::Io {
            doing: "cannot write the state to",
            path,
            source: error,
            elsewhere: "",
            then: "; earlier snapshots are whole, and --resume auto goes on from them",
        });
    }
    fs::metadata(&path)
        .map(|file| file.len())
        .map_err(io_error("cannot find the state that was written to", &path))
}

/// A tensor of the state. Its bytes are lent and not copied, so that a snapshot takes no memory of its own.
type Lent = (String, Dtype, Vec<usize>, Bytes);

/// The state's tensors, and the snapshot's metadata.
fn lent(
    run: &str,
    updates: u64,
    state: &State,
) -> Result<(Vec<Lent>, HashMap<String, String>), CheckpointError> {
    let mut tensors = Vec::with_capacity(state.0.len());
    for (name, tensor) in &state.0 {
        let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
        tensors.push((name.clone(), dtype(tensor.kind())?, shape, crate::torch::lend(tensor)?));
    }
    let updates = updates.to_string();
    let metadata = [("run", run), ("step", &updates), ("format", FORMAT)];
    let mut metadata: HashMap<String, String> =
        metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    seal(&mut metadata, tensors.iter().map(|(.., bytes)| &bytes[..]));
    Ok((tensors, metadata))
}

/// Adds to a snapshot's metadata the checksum of its tensors' bytes, in the order of their names.
pub fn seal<'a>(metadata: &mut HashMap<String, String>, tensors: impl Iterator<Item = &'a [u8]>) {
    metadata.insert(CHECKSUM.to_owned(), checksum(tensors));
}

fn checksum<'a>(tensors: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Xxh3::new();
    tensors.for_each(|bytes| hash.update(bytes));
    format!("{:016x}", hash.digest())
}

/// Writes the file piece by piece, and syncs it to disk.
fn write(file: &Path, tensors: &[Lent], metadata: HashMap<String, String>) -> io::Result<()> {
    let failed = |error| match error {
        SafeTensorError::IoError(error) => error,
        other => io::Error::other(other),
    };
    let view = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?))
    });
    let views = view.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    serialize_to_file(views, Some(metadata), file).map_err(failed)?;
    File::open(file)?.sync_all()
}

fn dtype(kind: Kind) -> Result<Dtype, TchError> {
    match kind {
        Kind::Float => Ok(Dtype::F32),
        Kind::Double => Ok(Dtype::F64),
        kind => Err(TchError::Torch(format!("state is not kept as {kind:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Tensor};

    fn save_one(dir: &Path, run: &str, updates: u64, value: f64) -> Result<u64, CheckpointError> {
        let mut tensor = Tensor::full([3], value, (Kind::Float, Device::Cpu));
        let mut state = State::default();
        state.tensor("conv.weight".into(), &mut tensor);
        save(dir, run, updates, &state, None)
    }

    fn restored(dir: &Path, updates: u64, size: i64) -> Result<f64, CheckpointError> {
        let mut tensor = Tensor::zeros([size], (Kind::Float, Device::Cpu));
        let mut state = State::default();
        state.tensor("conv.weight".into(), &mut tensor);
        Snapshot::open(dir, updates)?.restore(&mut state)?;
        Ok(tensor.double_value(&[0]))
    }

    #[test]
    fn snapshots_are_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        for updates in [2, 10] {
            save_one(dir.path(), "run", updates, updates as f64).unwrap();
        }
        assert_eq!(list(dir.path()).unwrap(), [2, 10]);
        assert_eq!(restored(dir.path(), 10, 3).unwrap(), 10.0);
        assert!(restored(dir.path(), 10, 4).unwrap_err().to_string().contains("'conv.weight'"));
        let held = |updates| HeldSnapshot { run: "run".into(), updates, imported: false };
        assert_eq!(super::held(dir.path()).unwrap(), [held(2), held(10)]);
        let path = file(dir.path(), 10);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&path, flipped).unwrap();
        assert!(restored(dir.path(), 10, 3).unwrap_err().to_string().contains("damaged"));
        save_one(dir.path(), "run", 3, 3.0).unwrap();
        for bytes in [&fs::read(&path).unwrap()[..], &bytes[..bytes.len() - 1]] {
            // In the second round, damaged-step-00000010 exists already.
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            let refusal = Snapshot::open_or_retire(dir.path(), 10).err().unwrap();
            assert!(matches!(refusal, CheckpointError::Gone { .. }), "{refusal}");
            assert!(refusal.to_string().contains("damaged-step-00000010"), "{refusal}");
            assert_eq!(list(dir.path()).unwrap(), [2, 3]);
            assert!(dir.path().join("damaged-step-00000010").join(FILE).is_file());
        }
        fs::remove_dir_all(dir.path().join("step-00000003")).unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::copy(file(dir.path(), 2), &path).unwrap();
        assert_eq!(super::held(dir.path()).unwrap(), [held(2)], "one of another step is left out");
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(super::held(dir.path()).unwrap(), [held(2)], "a torn one is left out");
        assert!(restored(dir.path(), 10, 3).unwrap_err().to_string().contains("torn"));
        let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let foreign = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
        fs::write(&path, foreign).unwrap();
        assert_eq!(
            super::held(dir.path()).unwrap(),
            [held(2)],
            "one that says nothing of itself is left out"
        );
        let refusal = restored(dir.path(), 10, 3).unwrap_err().to_string();
        assert!(refusal.contains(path.to_str().unwrap()) && refusal.contains("not written as"), "{refusal}");
    }
}
