//! The places of local nodes' files: a state folder and a log for each stage.

use super::log::Log;
use crate::run_error::RunError;
use proto::disk::cannot;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The places of the files of local nodes.
#[derive(Clone, Debug)]
pub struct Rooms {
    states: PathBuf,
    logs: PathBuf,
    read_only: bool,
    /// How the user names another place for what is written.
    elsewhere: &'static str,
}

impl Rooms {
    /// The places in the folder of a run that trains.
    pub fn of(folder: &Path) -> Self {
        let (states, logs) = (folder.join("state"), folder.join("logs"));
        Self { states, logs, read_only: false, elsewhere: "choose another --run-dir" }
    }

    /// The places in a [`temporary`] folder.
    pub fn within(temporary: &Path) -> Self {
        Self { elsewhere: TEMPORARY, ..Self::of(temporary) }
    }

    /// The places of nodes that only read the states of the run in `folder`, and write their logs into a
    /// [`temporary`] folder.
    pub fn to_read(folder: &Path, temporary: &Path) -> Self {
        Self { states: Self::of(folder).states, read_only: true, ..Self::within(temporary) }
    }

    /// Whether the nodes only read their state folders.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// The state folder of a stage's node.
    pub fn state(&self, stage: usize) -> PathBuf {
        self.states.join(format!("stage-{stage}"))
    }

    /// Makes the folders of a stage's node that may be written, and opens the log; the node writes to the file.
    ///
    /// # Errors
    /// A folder or log that cannot be made.
    pub(super) fn open(&self, stage: usize) -> Result<(Log, File), RunError> {
        if !self.read_only {
            let state = self.state(stage);
            fs::create_dir_all(&state).map_err(|error| self.unwritable(&state, &error))?;
        }
        fs::create_dir_all(&self.logs).map_err(|error| self.unwritable(&self.logs, &error))?;
        let log = self.logs.join(format!("stage-{stage}.log"));
        Log::open(log.clone()).map_err(|error| self.unwritable(&log, &error))
    }

    fn unwritable(&self, path: &Path, error: &io::Error) -> RunError {
        RunError::internal(cannot("cannot write", path, error, self.elsewhere))
    }
}

/// The advice for temporary files.
const TEMPORARY: &str = "set TMPDIR to a folder that can be written";

/// A temporary folder for the command `purpose`, which is removed with the handle.
///
/// # Errors
/// A folder that cannot be made.
pub fn temporary(purpose: &str) -> Result<TempDir, RunError> {
    let made = tempfile::Builder::new().prefix(&format!("neuropil-{purpose}-")).tempdir();
    let cannot =
        |error| cannot("cannot write a temporary folder in", &std::env::temp_dir(), &error, TEMPORARY);
    made.map_err(|error| RunError::internal(cannot(error)))
}
