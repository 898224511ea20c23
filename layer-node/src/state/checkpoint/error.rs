//! The errors of a node's snapshots and of its state folder.

use proto::failure::{Failure, FailureKind};
use proto::state_file::StateFileError;
use std::io;
use std::path::{Path, PathBuf};
use tch::TchError;

/// Why a snapshot cannot be written, read, moved or removed, in one sentence with the path.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file of a snapshot, or the disk.
    #[error(transparent)]
    File(#[from] StateFileError),
    /// Another node has locked the state folder.
    #[error(
        "another layer-node has the state folder {}: end that one first (kill -CONT, if it was stopped){}",
        path.display(),
        if elsewhere.is_empty() { String::new() } else { format!(", or {elsewhere}") }
    )]
    Taken {
        /// The folder.
        path: PathBuf,
        /// How the user names another folder; empty if there is no other.
        elsewhere: &'static str,
    },
    /// A torch operation failed.
    #[error("{0}")]
    Torch(#[from] TchError),
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::File(error) => of_file(error),
            CheckpointError::Taken { .. } | CheckpointError::Torch(_) => Failure::own(error),
        }
    }
}

/// The failure for a snapshot that cannot be read: the coordinator takes an earlier one where it is gone.
pub fn of_file(error: StateFileError) -> Failure {
    match error {
        StateFileError::Gone { .. } => Failure::new(FailureKind::SnapshotGone, error),
        StateFileError::Io { .. } | StateFileError::Unusable { .. } | StateFileError::Damaged { .. } => {
            Failure::own(error)
        }
    }
}

pub(in crate::state) fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CheckpointError + 'a {
    move |source| StateFileError::Io { doing, path: path.to_owned(), source, elsewhere: "", then: "" }.into()
}
