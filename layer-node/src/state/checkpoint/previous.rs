//! The snapshots that other runs left in a node's folder: moved to `previous/RUN`, and moved back.

use super::CheckpointError;
use super::error::io_error;
use proto::state_file::{described, folder_of, list, step_folder};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The run of the snapshot after `updates` in `folder`, if the file is whole and is that snapshot.
fn owner(folder: &Path, updates: u64) -> Option<String> {
    described(folder, updates).map(|held| held.run)
}

/// Moves the snapshots that other runs left in `state_dir` to `previous`, so that they are neither reused nor lost.
/// Returns the folders to which they were moved.
///
/// # Errors
/// When the disk operation fails.
pub fn set_aside(state_dir: &Path, run: &str) -> Result<BTreeSet<PathBuf>, CheckpointError> {
    let mut moved = BTreeSet::new();
    for step in list(state_dir)? {
        let owner = owner(state_dir, step);
        if owner.as_deref() == Some(run) {
            continue;
        }
        let to = owner.map_or_else(|| unreadable(state_dir, step), |owner| folder_of(state_dir, &owner));
        let [from, target] = [step_folder(state_dir, step), step_folder(&to, step)];
        fs::create_dir_all(&to).map_err(io_error("cannot make the folder", &to))?;
        // The same snapshot of the same run, which a crash between two moves left in both places.
        if target.exists() {
            fs::remove_dir_all(&target).map_err(io_error("cannot replace", &target))?;
        }
        fs::rename(&from, &target).map_err(io_error("cannot move away", &from))?;
        moved.insert(to);
    }
    Ok(moved)
}

/// The folder for a snapshot after `updates` that belongs to no known run: two of them may be of different runs, so
/// that neither replaces the other.
fn unreadable(state_dir: &Path, updates: u64) -> PathBuf {
    let numbered = (2..).map(|number| format!("unreadable-{number}"));
    let folders =
        std::iter::once("unreadable".to_owned()).chain(numbered).map(|name| folder_of(state_dir, &name));
    let mut free = folders.filter(|folder| !step_folder(folder, updates).exists());
    free.next().unwrap_or_else(|| folder_of(state_dir, "unreadable"))
}

/// Moves the snapshots of `run` back, after [`set_aside`] has made room. Returns the number of moved snapshots.
///
/// # Errors
/// When the disk operation fails. Snapshots that were not moved yet are still found in their old place.
pub fn bring_back(state_dir: &Path, run: &str) -> Result<usize, CheckpointError> {
    let from = folder_of(state_dir, run);
    let mut moved = 0;
    for step in list(&from)?.into_iter().filter(|step| owner(&from, *step).is_some_and(|owner| owner == run))
    {
        let [back, place] = [step_folder(&from, step), step_folder(state_dir, step)];
        if place.exists() {
            // A newer snapshot was written since at the same step.
            fs::remove_dir_all(&back).map_err(io_error("cannot remove", &back))?;
            continue;
        }
        fs::rename(&back, &place).map_err(io_error("cannot move back", &back))?;
        moved += 1;
    }
    // A folder with other contents stays.
    let _ = fs::remove_dir(&from);
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::checkpoint::{file, held, place_of, save};
    use crate::state::named::State;

    #[test]
    fn runs_take_turns_and_neither_is_reused_or_lost() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let save = |run: &str, updates| save(dir, run, updates, &State::default(), None).unwrap();
        save("old", 5);
        save("old", 6);
        let aside = set_aside(dir, "new").unwrap().pop_first().unwrap();
        save("new", 6);
        assert_eq!((list(dir).unwrap(), list(&aside).unwrap()), (vec![6], vec![5, 6]));
        let of = |run: &str| {
            let held = held(dir).unwrap().into_iter().filter(|held| held.run == run);
            held.map(|held| held.updates).collect::<Vec<_>>()
        };
        assert_eq!((of("old"), of("new")), (vec![5, 6], vec![6]), "both can be restored");
        assert_eq!([place_of(dir, "old", 6), place_of(dir, "new", 6)], [aside.clone(), dir.to_owned()]);
        assert_eq!(place_of(dir, "old", 7), dir, "where it is missed");

        // A crash between two moves leaves snapshots of one run in both places.
        set_aside(dir, "old").unwrap();
        fs::rename(step_folder(&aside, 6), step_folder(dir, 6)).unwrap();
        assert_eq!((of("old"), of("new")), (vec![6, 5], vec![6]));
        assert_eq!(bring_back(dir, "old").unwrap(), 1);
        assert_eq!((list(dir).unwrap(), aside.exists()), (vec![5, 6], false));

        // A file that cannot be read belongs to no run, and another such file to another one, perhaps.
        for (torn, place) in [("torn", "unreadable"), ("another", "unreadable-2")] {
            fs::create_dir_all(step_folder(dir, 6)).unwrap();
            fs::write(file(dir, 6), torn).unwrap();
            set_aside(dir, "old").unwrap();
            assert_eq!(of("old"), [5]);
            assert_eq!(fs::read_to_string(file(&folder_of(dir, place), 6)).unwrap(), torn);
        }
    }
}
