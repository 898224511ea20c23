//! The errors of reading a run's folder: each is one sentence that names the file.

use proto::disk::cannot;
use std::io;
use std::path::PathBuf;

/// A file of a run that cannot be read, or has wrong content.
///
/// Displayed, it is one sentence without a final full stop, complete in itself: the cause's own text is
/// part of it, so [`std::error::Error::source`] is always `None` and nothing is said twice.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is not there.
    #[error("{} is missing: give the folder of a run that has ended", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses to read the file.
    #[error("{}", cannot("cannot read", path, cause, "give the folder of another run"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file can be read, but one of its records has another form.
    #[error("{}, record {record}, is not understood ({cause}): was it written by another version?", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The record, counted from 1: the line in a file of lines.
        record: usize,
        /// The parser's error.
        cause: serde_json::Error,
    },
}
