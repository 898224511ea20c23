//! The errors of data sets: each is one sentence that names the file, the fault and the remedy.

use proto::disk::cannot;
use std::io;
use std::path::{Path, PathBuf};

/// A fault of a data set, or of a setting that chooses or shapes the data set.
///
/// Displayed, it is one sentence without a final full stop, complete in itself: an I/O error's own text
/// is part of it, so [`std::error::Error::source`] is always `None` and nothing is said twice.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file, or the whole folder, is not there.
    #[error("{what}: {remedy}")]
    Missing {
        /// The missing file, and its folder.
        what: String,
        /// The remedy.
        remedy: &'static str,
    },
    /// The system refuses to read the file.
    #[error("{}", cannot("cannot read", path, cause, "set data.path to another folder"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file can be read, but its content is wrong.
    #[error("{} {wrong}: {remedy}", path.display())]
    Malformed {
        /// The file (the folder, where several disagree).
        path: PathBuf,
        /// The fault.
        wrong: String,
        /// The remedy.
        remedy: String,
    },
    /// A setting doesn't fit: a fault of the configuration, not of the data.
    #[error("{wrong}: {remedy}")]
    Setting {
        /// The setting, its value, and the reason why the value does not fit.
        wrong: String,
        /// The value to set instead.
        remedy: String,
    },
    /// The caller asked for a sample that the data set doesn't have.
    #[error(
        "sample {index} was asked of {}, which has {samples}: this is a fault of Neuropil, please \
         report it", path.display()
    )]
    NoSuchSample {
        /// The folder or file of the data set.
        path: PathBuf,
        /// The sample asked for, counted from 0.
        index: usize,
        /// The number of samples.
        samples: usize,
    },
    /// A sample was not decoded into an image of the set's shape: a fault of the decoder, not of the data.
    #[error(
        "sample {index} of {} {wrong}: this is a fault of Neuropil, please report it", path.display()
    )]
    Decoder {
        /// The folder or file of the data set.
        path: PathBuf,
        /// The sample's index, counted from 0.
        index: usize,
        /// The decoder's fault.
        wrong: String,
    },
}

impl DataError {
    /// The error for a file with wrong content.
    pub(super) fn malformed(path: &Path, wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        DataError::Malformed { path: path.to_owned(), wrong: wrong.into(), remedy: remedy.into() }
    }

    /// The error for a setting that doesn't fit.
    pub(super) fn setting(wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        DataError::Setting { wrong: wrong.into(), remedy: remedy.into() }
    }
}

/// The error for a folder that holds none of the files `names`, or that is not there itself.
pub(super) fn missing(folder: &Path, names: &[&str], remedy: &'static str) -> DataError {
    let first = folder.join(names.first().unwrap_or(&""));
    if let Err(cause) = first.metadata()
        && cause.kind() == io::ErrorKind::PermissionDenied
    {
        return DataError::Unreadable { path: first, cause };
    }
    let (wanted, shown) = (names.join(" or "), folder.display());
    let what = if folder.is_dir() {
        format!("{wanted} is missing from the folder {shown}")
    } else if folder.exists() {
        format!("{shown} is a file, but should be the folder that holds {wanted}")
    } else {
        format!("the folder {shown}, which should hold {wanted}, does not exist")
    };
    DataError::Missing { what, remedy }
}
