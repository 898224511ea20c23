//! What can be wrong with a run's folder: one sentence each, that names the file.

use std::io;
use std::path::PathBuf;

/// A file of a run that cannot be read, or is not what it should be.
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
    #[error("{} cannot be read ({cause}): check its permissions and its disk", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file can be read but a record of it has another form.
    #[error("{}, record {record}, is not understood ({cause}): was it written by another version?", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which record, counted from 1: the line of a file of lines.
        record: usize,
        /// What the parser said.
        cause: serde_json::Error,
    },
}
