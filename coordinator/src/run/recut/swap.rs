//! The folder of the nodes' states gives its place to one of another cut. At every moment one of the two is whole, and
//! the names that lie there say which, so that a kill at any point loses nothing.
//!
//! ```text
//! RUN/state          the states of the nodes
//! RUN/state.recut    the states of the new cut, while they are written, and for a moment whole
//! RUN/state.before   the former states, until they are removed
//! ```

use crate::record::files::unwritable;
use crate::run_error::RunError;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The places of a run's states.
pub(super) struct Swap {
    run: PathBuf,
    /// The states of the nodes.
    pub(super) state: PathBuf,
    /// The states that are to take their place.
    pub(super) next: PathBuf,
    before: PathBuf,
}

impl Swap {
    /// The places in the folder of a run.
    pub(super) fn of(run: &Path) -> Self {
        let place = |name: &str| run.join(name);
        Self {
            run: run.to_owned(),
            state: place("state"),
            next: place("state.recut"),
            before: place("state.before"),
        }
    }

    /// Ends what a start that was killed had begun. Former states are moved away only once the new ones are whole: where
    /// there are no states, the new ones are taken, and otherwise what is left of a start is removed.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn settle(&self) -> Result<(), RunError> {
        if !self.state.exists() && self.before.exists() {
            let whole = if self.next.exists() { &self.next } else { &self.before };
            self.rename(whole, &self.state)?;
        }
        [&self.next, &self.before].into_iter().try_for_each(|left| removed(left))
    }

    /// Makes an empty folder for the new states.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn prepare(&self) -> Result<(), RunError> {
        fs::create_dir(&self.next).map_err(|error| unwritable(&self.next, &error))
    }

    /// Removes the new states, which will never be whole.
    pub(super) fn give_up(&self) {
        // The next start removes what is left.
        let _ = fs::remove_dir_all(&self.next);
    }

    /// Puts the new states, which are whole and on the disk, in the place of the former ones.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn put(&self) -> Result<(), RunError> {
        synced(&self.next)?;
        self.rename(&self.state, &self.before)?;
        self.rename(&self.next, &self.state)
    }

    /// Removes the former states.
    pub(super) fn forget(&self) {
        if let Err(failure) = removed(&self.before) {
            tracing::warn!(%failure, "the next start tries again to remove the states of the former cut");
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), RunError> {
        fs::rename(from, to).map_err(|error| unwritable(to, &error))?;
        synced(&self.run)
    }
}

/// Waits until the names in `folder` are on the disk.
pub(super) fn synced(folder: &Path) -> Result<(), RunError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(folder, &error))
}

fn removed(folder: &Path) -> Result<(), RunError> {
    let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    match fs::remove_dir_all(folder) {
        Err(error) if !gone(&error) => Err(unwritable(folder, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folders that lie in a run, each with the word that its file holds.
    fn lie(run: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(run)
            .unwrap()
            .flatten()
            .map(|entry| {
                let word = fs::read_to_string(entry.path().join("word")).unwrap();
                format!("{}={word}", entry.file_name().to_string_lossy())
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_kill_at_any_point_leaves_whole_states() {
        for (left, settled) in [
            (&["state=old"][..], "state=old"),
            (&["state=old", "state.recut=torn"], "state=old"),
            (&["state.before=old", "state.recut=new"], "state=new"),
            (&["state=new", "state.before=old"], "state=new"),
            (&["state.before=old"], "state=old"),
        ] {
            let run = tempfile::tempdir().unwrap();
            for (name, word) in left.iter().map(|left| left.split_once('=').unwrap()) {
                fs::create_dir(run.path().join(name)).unwrap();
                fs::write(run.path().join(name).join("word"), word).unwrap();
            }
            let swap = Swap::of(run.path());
            swap.settle().unwrap();
            assert_eq!(lie(run.path()), [settled], "{left:?}");
        }
    }

    #[test]
    fn the_new_states_take_the_place_of_the_former_ones() {
        let run = tempfile::tempdir().unwrap();
        let swap = Swap::of(run.path());
        swap.settle().unwrap();
        fs::create_dir(&swap.state).unwrap();
        fs::write(swap.state.join("word"), "old").unwrap();
        swap.prepare().unwrap();
        fs::write(swap.next.join("word"), "new").unwrap();
        swap.put().unwrap();
        assert_eq!(lie(run.path()), ["state.before=old", "state=new"]);
        swap.forget();
        assert_eq!(lie(run.path()), ["state=new"]);
    }
}
