//! The state of a whole network after one update, from the snapshots of its nodes.

use super::NewNode;
use proto::spec::state::StateTensor;
use proto::state_file::{self, IMPORTED, Snapshot, StateFileError};
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;

/// Every tensor of a network's state, by its name.
pub(super) struct Joined<'a>(BTreeMap<String, TensorView<'a>>);

impl<'a> Joined<'a> {
    /// The tensors of `snapshots`, which must be exactly those of the `new` nodes.
    ///
    /// # Errors
    /// The first tensor that is missing, left over, of another shape or there twice: the end of a sentence.
    pub(super) fn of(snapshots: &'a [Snapshot], new: &[NewNode]) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for snapshot in snapshots {
            for (name, view) in snapshot.tensors().map_err(|error| error.to_string())? {
                if all.insert(name.clone(), view).is_some() {
                    return Err(format!("'{name}' is in two of them"));
                }
            }
        }
        let due: BTreeMap<&str, &StateTensor> =
            new.iter().flat_map(|node| &node.state).map(|tensor| (tensor.name.as_str(), tensor)).collect();
        for (name, tensor) in &due {
            let Some(view) = all.get(*name) else { return Err(format!("'{name}' is in none of them")) };
            let shape: Vec<u64> = view.shape().iter().map(|&size| size as u64).collect();
            if shape != tensor.shape {
                return Err(format!("'{name}' is {shape:?} there and {:?} in the network", tensor.shape));
            }
        }
        match all.keys().find(|name| !due.contains_key(name.as_str())) {
            Some(name) => Err(format!("'{}' is no tensor of the network", name.escape_debug())),
            None => Ok(Self(all)),
        }
    }

    /// Writes the snapshot of `node` after `step` of `run` into its folder in `next`.
    ///
    /// # Errors
    /// When the disk is full or read-only.
    pub(super) fn save(
        &self,
        node: &NewNode,
        run: &str,
        step: u64,
        imported: bool,
        next: &Path,
    ) -> Result<(), StateFileError> {
        let mut tensors: Vec<(String, TensorView<'_>)> = node
            .state
            .iter()
            .filter_map(|tensor| self.0.get_key_value(&tensor.name))
            .map(|(name, view)| (name.clone(), view.clone()))
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let mut metadata = state_file::metadata(run, step);
        if imported {
            metadata.insert(IMPORTED.into(), "before the cut".into());
        }
        state_file::seal(&mut metadata, tensors.iter().map(|(_, view)| view.data()));
        state_file::save(&next.join(&node.name), step, tensors, metadata).map(drop)
    }
}
