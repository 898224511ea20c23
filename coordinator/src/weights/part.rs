//! A part: the tensors of a source that one node takes, as a file for this node alone.

use super::Backward;
use proto::role::Role;
use proto::state_file::{self, BACKWARD, DRAWN, IMPORTED, PART, StateFileError};
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

/// The snapshot that a part is: of which run, and after how many updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run.
    pub run: String,
    /// The number of updates.
    pub updates: u64,
}

/// The tensors of one node.
pub struct Part<'a> {
    /// The node.
    pub role: Role,
    /// The tensors, in their formats in the source.
    pub tensors: BTreeMap<String, TensorView<'a>>,
    /// The tensors of the node that stay as they are drawn, without the optimizers' state.
    pub drawn: Vec<String>,
    /// The B that was asked for in place of the source's.
    pub backward: Option<Backward>,
    /// What was imported into the run whose state the source is, as the source names it.
    pub imported: Option<String>,
}

impl Part<'_> {
    /// The bytes of the tensors.
    pub fn bytes(&self) -> usize {
        self.tensors.values().map(|view| view.data().len()).sum()
    }

    /// Writes the part as a snapshot into `folder`, which is a state folder or the folder of a run within it. Returns
    /// the size of the file in bytes.
    ///
    /// # Errors
    /// When the disk is full or read-only.
    pub fn save(&self, folder: &Path, mark: &Mark) -> Result<u64, StateFileError> {
        state_file::save(folder, mark.updates, self.views(), self.metadata(mark))
    }

    /// Writes the part to `file`, for `layer-node import` at the node.
    ///
    /// # Errors
    /// The system's error.
    pub fn write(&self, file: &Path, mark: &Mark) -> io::Result<()> {
        state_file::write(file, self.views(), self.metadata(mark))
    }

    fn views(&self) -> Vec<(String, TensorView<'_>)> {
        self.tensors.iter().map(|(name, view)| (name.clone(), view.clone())).collect()
    }

    fn metadata(&self, mark: &Mark) -> HashMap<String, String> {
        let mut metadata = state_file::metadata(&mark.run, mark.updates);
        metadata.insert(PART.into(), crate::prepare::file_stem(self.role));
        metadata.insert(DRAWN.into(), self.drawn.join(" "));
        if self.backward == Some(Backward::Weight) {
            metadata.insert(BACKWARD.into(), "weight".into());
        }
        // A run that goes on from its parts does not compare them with what it measured before the import; files are no
        // state of a run.
        let imported = self.imported.clone().filter(|_| mark.updates > 0);
        metadata.extend(imported.map(|from| (IMPORTED.into(), from)));
        state_file::seal(&mut metadata, self.tensors.values().map(|view| view.data()));
        metadata
    }
}
