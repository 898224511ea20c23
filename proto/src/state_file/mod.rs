//! Files of state: the snapshot of one node after a number of updates, as bytes. Both programs read and write them, and
//! neither needs torch for it.
//!
//! ```text
//! STATE_DIR/step-00000042/stage.safetensors                metadata: run, step, format, xxh3 of the tensors' bytes
//! STATE_DIR/damaged-step-00000042/                         a snapshot whose bytes were changed after they were written
//! STATE_DIR/previous/RUN/step-00000042/stage.safetensors   a snapshot of another run
//! ```
//!
//! A snapshot is complete on disk, or does not exist: it is written beside its place, synced, and renamed.

mod error;
mod header;
mod layout;
mod previous;
mod snapshot;
mod writing;

pub use error::StateFileError;
pub use header::{
    BACKWARD, CHECKSUM, DRAWN, FORMAT, IMPORTED, LEDGER, PART, described, metadata, read_header, seal,
};
pub use layout::{file, list, step_folder, unfinished};
pub use previous::{folder_of, is_name, place_of};
pub use snapshot::Snapshot;
pub use writing::{save, write};

use crate::control::HeldSnapshot;
use std::path::Path;

/// The snapshots that a node could be restored to, with their runs: the complete snapshots in `state_dir`, ascending,
/// and those of the runs that were set aside. Only their headers are read. A file that is shorter or longer than its
/// header says is torn and left out, and so is a file of another step or format.
///
/// # Errors
/// When the folder cannot be read.
pub fn held(state_dir: &Path) -> Result<Vec<HeldSnapshot>, StateFileError> {
    let mut held = of_folder(state_dir)?;
    held.extend(previous::held(state_dir));
    Ok(held)
}

/// The steps of the complete snapshots that lie in `state_dir` itself, ascending.
///
/// # Errors
/// When the folder cannot be read.
pub fn whole(state_dir: &Path) -> Result<Vec<u64>, StateFileError> {
    Ok(of_folder(state_dir)?.into_iter().map(|held| held.updates).collect())
}

/// The complete snapshots that lie in `folder` itself, ascending.
///
/// # Errors
/// When the folder cannot be read.
pub fn of_folder(folder: &Path) -> Result<Vec<HeldSnapshot>, StateFileError> {
    let steps = list(folder)?.into_iter();
    Ok(steps.filter_map(|updates| described(folder, updates)).collect())
}
