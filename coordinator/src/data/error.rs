//! What can be wrong with data: one sentence each, that names the file, the fault and the way out.

use std::io;
use std::path::{Path, PathBuf};

/// A fault of a data set, or of a setting that chooses or shapes it.
///
/// Displayed, it is one sentence without a final full stop, complete in itself: an I/O error's own text
/// is part of it, so [`std::error::Error::source`] is always `None` and nothing is said twice.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file, or the whole folder, is not there.
    #[error("{what}: {remedy}")]
    Missing {
        /// Which file is missing in which folder.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The system refuses to read the file.
    #[error(
        "{} cannot be read ({cause}): check its permissions and its disk, or set data.path to \
         another folder", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file can be read but is not what it should be.
    #[error("{} {wrong}: {remedy}", path.display())]
    Malformed {
        /// The file (the folder, where several disagree).
        path: PathBuf,
        /// What is wrong with it.
        wrong: String,
        /// What to do about it.
        remedy: String,
    },
    /// A setting doesn't fit: a fault of the configuration, not of the data.
    #[error("{wrong}: {remedy}")]
    Setting {
        /// Which setting has which value, and why it can't be.
        wrong: String,
        /// What to set instead.
        remedy: String,
    },
    /// A sample was asked for that the data set doesn't have: the caller's fault.
    #[error(
        "sample {index} was asked of {}, which has {samples}: this is a fault of Neuropil, please \
         report it", path.display()
    )]
    NoSuchSample {
        /// Where the data set was read from.
        path: PathBuf,
        /// The sample asked for, counted from 0.
        index: usize,
        /// How many there are.
        samples: usize,
    },
    /// A sample was not decoded into an image of the set's shape: a fault of the decoder, not of the data.
    #[error(
        "sample {index} of {} {wrong}: this is a fault of Neuropil, please report it", path.display()
    )]
    Decoder {
        /// Where the data set is read from.
        path: PathBuf,
        /// The sample, counted from 0.
        index: usize,
        /// What the decoder did.
        wrong: String,
    },
}

impl DataError {
    /// A file that is not what it should be.
    pub(super) fn malformed(path: &Path, wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        DataError::Malformed { path: path.to_owned(), wrong: wrong.into(), remedy: remedy.into() }
    }

    /// A setting that doesn't fit.
    pub(super) fn setting(wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        DataError::Setting { wrong: wrong.into(), remedy: remedy.into() }
    }
}
