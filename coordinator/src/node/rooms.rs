//! The places of local nodes' files: a state folder and a log for each node.

use super::log::Log;
use crate::prepare::file_stem;
use crate::run_error::RunError;
use proto::disk::cannot;
use proto::link::Role;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The places of the files of local nodes.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// The folder that may be written.
    folder: PathBuf,
    states: PathBuf,
    logs: PathBuf,
    read_only: bool,
    /// The advice that names another place for written files.
    elsewhere: &'static str,
}

impl Rooms {
    /// The places in the folder of a run that trains.
    pub fn of(folder: &Path) -> Self {
        let (states, logs) = (folder.join("state"), folder.join("logs"));
        Self { folder: folder.into(), states, logs, read_only: false, elsewhere: "choose another --run-dir" }
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

    /// The folder of everything that the nodes write.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The state folder of the node of `role`.
    pub fn state(&self, role: Role) -> PathBuf {
        self.states.join(file_stem(role))
    }

    /// Makes the folders of the node of `role` that may be written, and opens the log; the node writes to the file.
    ///
    /// # Errors
    /// A folder or log that cannot be made.
    pub(super) fn open(&self, role: Role) -> Result<(Log, File), RunError> {
        if !self.read_only {
            let state = self.state(role);
            fs::create_dir_all(&state).map_err(|error| self.unwritable(&state, &error))?;
        }
        fs::create_dir_all(&self.logs).map_err(|error| self.unwritable(&self.logs, &error))?;
        let log = self.logs.join(format!("{}.log", file_stem(role)));
        Log::open(log.clone()).map_err(|error| self.unwritable(&log, &error))
    }

    fn unwritable(&self, path: &Path, error: &io::Error) -> RunError {
        RunError::internal(cannot("cannot write", path, error, self.elsewhere))
    }
}

/// The advice for temporary files.
const TEMPORARY: &str = "set TMPDIR to a folder that can be written";

/// The folders for temporary files: TMPDIR, and the usual ones after it, since a container often has only some of them.
pub(super) fn temporary_places() -> impl Iterator<Item = PathBuf> {
    let named = std::env::var_os("TMPDIR").filter(|named| !named.is_empty()).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    named.into_iter().chain(usual)
}

/// A temporary folder for the command `purpose`, which is removed with the handle: in the first of the usual places that
/// takes it, or in the working folder.
///
/// # Errors
/// The reason of the first place, if none takes it.
pub fn temporary(purpose: &str) -> Result<TempDir, RunError> {
    let mut first = None;
    for place in temporary_places().chain(std::env::current_dir()) {
        match tempfile::Builder::new().prefix(&format!("neuropil-{purpose}-")).tempdir_in(&place) {
            Ok(made) => return Ok(made),
            Err(error) => _ = first.get_or_insert((place, error)),
        }
    }
    let why =
        first.map(|(place, error)| cannot("cannot write a temporary folder in", &place, &error, TEMPORARY));
    Err(RunError::internal(why.unwrap_or_else(|| TEMPORARY.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_stage_have_a_folder_and_a_log_each() {
        let folder = tempfile::tempdir().unwrap();
        let rooms = Rooms::of(folder.path());
        for (role, name) in [(Role::Stage(3), "stage-3"), (Role::Backward(3), "stage-3-backward")] {
            assert_eq!(rooms.state(role), folder.path().join("state").join(name));
            let (log, _file) = rooms.open(role).unwrap();
            assert_eq!(log.path(), folder.path().join("logs").join(format!("{name}.log")));
            assert!(rooms.state(role).is_dir());
        }
    }
}
