//! Why a snapshot cannot be written, read or removed.

use proto::failure::{Failure, FailureKind};
use safetensors::SafeTensorError;
use std::io;
use std::path::{Path, PathBuf};
use tch::TchError;

/// Why a snapshot cannot be written or read; one sentence with the path.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk said no.
    #[error("{doing} {} ({source}): {advice}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The file is not what it should be.
    #[error("{} {why}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The file's bytes are not those that were written.
    #[error("{} is {why}: use another snapshot", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The snapshot to restore is not there, or not any more: an earlier one may be.
    #[error("{} {why}", .path.display())]
    Gone {
        /// The file.
        path: PathBuf,
        /// What became of it, and what to do.
        why: String,
    },
    /// Another node works there.
    #[error(
        "another layer-node has the state folder {}: end that one first (kill -CONT, if it was stopped), or give --state-dir another folder", .0.display()
    )]
    Taken(PathBuf),
    /// What torch says.
    #[error("{0}")]
    Torch(#[from] TchError),
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Gone { .. } => Failure::new(FailureKind::SnapshotGone, error),
            _ => Failure::own(error),
        }
    }
}

pub(in crate::state) fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> CheckpointError + 'a {
    let advice = "check the state folder, its permissions and its disk";
    move |source| CheckpointError::Io { doing, path: path.to_owned(), source, advice }
}

pub(super) fn unusable(path: &Path, why: impl Into<String>) -> CheckpointError {
    CheckpointError::Unusable { path: path.to_owned(), why: why.into() }
}

pub(super) fn torn(path: &Path, error: &SafeTensorError) -> CheckpointError {
    CheckpointError::Damaged { path: path.to_owned(), why: format!("torn ({error})") }
}
