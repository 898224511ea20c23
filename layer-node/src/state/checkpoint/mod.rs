//! Snapshots of a stage's tensors; [`proto::state_file`] has their files, and says where they lie.

mod error;
mod previous;

pub(in crate::state) use error::io_error;
pub use error::{CheckpointError, of_file};
pub use previous::{bring_back, set_aside};
pub use proto::state_file::{
    BACKWARD, DRAWN, IMPORTED, LEDGER, PART, Snapshot, StateFileError, file, folder_of, held, list, place_of,
    seal, step_folder, unfinished, whole,
};

use crate::state::named::State;
use bytes::Bytes;
use proto::state_file;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use tch::{Kind, TchError, Tensor};

/// The advice for state that does not fit.
const ELSEWHERE: &str = "it belongs to another network or cut, so give the configuration that wrote it, and the addresses of its nodes, and of its backward nodes, in its order";

/// Writes the snapshot after `updates` of `run`, with the `ledger` of what these updates have consumed. Returns the size
/// of the file in bytes.
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
    let tensors = lent(state)?;
    let mut metadata = state_file::metadata(run, updates);
    metadata.extend(ledger.map(|ledger| (LEDGER.to_owned(), ledger.to_owned())));
    seal(&mut metadata, tensors.iter().map(|(.., bytes)| &bytes[..]));
    let view = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?))
    });
    let path = file(state_dir, updates);
    let views = view.collect::<Result<Vec<_>, SafeTensorError>>().map_err(|error| {
        let source = io::Error::other(error);
        StateFileError::Io { doing: "cannot encode", path, source, elsewhere: "", then: "" }
    })?;
    Ok(state_file::save(state_dir, updates, views, metadata).map_err(with_the_others)?)
}

/// The error with what becomes of the run.
fn with_the_others(error: StateFileError) -> StateFileError {
    match error {
        StateFileError::Io { doing, path, source, elsewhere, .. } => {
            let then = "; earlier snapshots are whole, and --resume auto goes on from them";
            StateFileError::Io { doing, path, source, elsewhere, then }
        }
        other => other,
    }
}

/// A tensor of the state. Its bytes are lent and not copied, so that a snapshot takes no memory of its own.
type Lent = (String, Dtype, Vec<usize>, Bytes);

/// The state's tensors, sorted by name.
fn lent(state: &State) -> Result<Vec<Lent>, CheckpointError> {
    let mut tensors = Vec::with_capacity(state.0.len());
    for (name, tensor) in &state.0 {
        let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
        tensors.push((name.clone(), dtype(tensor.kind())?, shape, crate::torch::lend(tensor)?));
    }
    Ok(tensors)
}

fn dtype(kind: Kind) -> Result<Dtype, TchError> {
    match kind {
        Kind::Float => Ok(Dtype::F32),
        Kind::Double => Ok(Dtype::F64),
        kind => Err(TchError::Torch(format!("state is not kept as {kind:?}"))),
    }
}

/// Fills `state` from `snapshot`: the same names and shapes, no more and no fewer.
///
/// # Errors
/// When a tensor is missing, left over, or of another shape.
pub fn restore(snapshot: &Snapshot, state: &mut State) -> Result<(), CheckpointError> {
    let unusable = |why: String| StateFileError::Unusable { path: snapshot.path().to_owned(), why };
    let tensors = snapshot.tensors()?;
    if let Some((name, _)) = tensors.iter().find(|(name, _)| !state.0.contains_key(name)) {
        return Err(unusable(format!("holds '{name}', which this stage does not have: {ELSEWHERE}")).into());
    }
    let stored: HashMap<String, TensorView> = tensors.into_iter().collect();
    for (name, tensor) in &mut state.0 {
        let Some(view) = stored.get(name) else {
            return Err(unusable(format!("lacks '{name}': {ELSEWHERE}")).into());
        };
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        if shape != tensor.size() || view.dtype() != dtype(tensor.kind())? {
            let want = tensor.size();
            let why = format!("holds '{name}' as {shape:?} where {want:?} is needed: {ELSEWHERE}");
            return Err(unusable(why).into());
        }
        tensor.f_copy_(&Tensor::f_from_data_size(view.data(), &shape, tensor.kind())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::HeldSnapshot;
    use proto::spec::fingerprint::fingerprint;
    use std::fs;
    use tch::Device;

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
        restore(&Snapshot::open(dir, updates)?, &mut state)?;
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
        let tensors = fingerprint([("conv.weight", &[3][..])]);
        let held = |updates| HeldSnapshot { run: "run".into(), updates, imported: false, tensors };
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
            assert!(matches!(refusal, StateFileError::Gone { .. }), "{refusal}");
            assert!(refusal.to_string().contains("damaged-step-00000010"), "{refusal}");
            assert_eq!(list(dir.path()).unwrap(), [2, 3]);
            assert!(dir.path().join("damaged-step-00000010").join("stage.safetensors").is_file());
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
