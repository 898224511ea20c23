//! The errors of writing, reading and removing snapshots.

use proto::disk::cannot;
use proto::failure::{Failure, FailureKind};
use safetensors::SafeTensorError;
use std::io;
use std::path::{Path, PathBuf};
use tch::TchError;

/// Why a snapshot cannot be written or read, in one sentence with the path.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A disk operation failed.
    #[error("{}{then}", cannot(doing, path, source, elsewhere))]
    Io {
        /// The operation that was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
        /// How the user names another place; empty if there is no other.
        elsewhere: &'static str,
        /// The end of the sentence: the state of what else is there.
        then: &'static str,
    },
    /// The file is not a usable snapshot.
    #[error("{} {why}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The defect and the remedy.
        why: String,
    },
    /// The file's bytes have changed since they were written.
    #[error("{} is {why}: use another snapshot", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect.
        why: String,
    },
    /// The snapshot to restore is missing or was moved away; an earlier snapshot may exist.
    #[error("{} {why}", .path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// The event and the remedy.
        why: String,
    },
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
            CheckpointError::Gone { .. } => Failure::new(FailureKind::SnapshotGone, error),
            CheckpointError::Io { .. }
            | CheckpointError::Unusable { .. }
            | CheckpointError::Damaged { .. }
            | CheckpointError::Taken { .. }
            | CheckpointError::Torch(_) => Failure::own(error),
        }
    }
}

pub(in crate::state) fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CheckpointError + 'a {
    move |source| CheckpointError::Io { doing, path: path.to_owned(), source, elsewhere: "", then: "" }
}

pub(super) fn unusable(path: &Path, why: impl Into<String>) -> CheckpointError {
    CheckpointError::Unusable { path: path.to_owned(), why: why.into() }
}

pub(super) fn torn(path: &Path, error: &SafeTensorError) -> CheckpointError {
    CheckpointError::Damaged { path: path.to_owned(), why: format!("torn ({error})") }
}
