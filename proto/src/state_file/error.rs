//! The errors of writing and reading snapshots.

use crate::disk::cannot;
use safetensors::SafeTensorError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a snapshot cannot be written or read, in one sentence with the path.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
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
}

/// A function from a system's error to the error of `doing` something to `path`.
pub(super) fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StateFileError + 'a {
    move |source| StateFileError::Io { doing, path: path.to_owned(), source, elsewhere: "", then: "" }
}

pub(super) fn torn(path: &Path, error: &SafeTensorError) -> StateFileError {
    StateFileError::Damaged { path: path.to_owned(), why: format!("torn ({error})") }
}
