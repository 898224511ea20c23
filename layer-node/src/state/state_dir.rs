//! The state folder: one node owns it at a time, and removes old snapshots from it.

use crate::state::checkpoint::{self, CheckpointError, StateFileError, io_error};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a node waits for the folder's earlier owner, which may still be writing its state.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often the node tries to lock the folder meanwhile.
const RETRY: Duration = Duration::from_millis(50);

/// A state folder, and what the node may do there.
#[derive(Clone, Debug)]
pub struct StateDir {
    /// The folder.
    pub path: PathBuf,
    /// Whether the node only reads the folder: no file in it is made, moved or removed.
    pub read_only: bool,
}

/// A folder that this process has locked for as long as the value lives. The system releases the folder when the
/// process ends, however it ends.
///
/// A stopped process (SIGSTOP) still owns its folder: otherwise it could continue later, and write an old state as
/// the newest while another node works there.
#[derive(Debug)]
pub struct Locked {
    _handle: Option<File>,
}

impl StateDir {
    /// Creates the folder if it does not exist, and locks it. A node that only reads shares the lock with others of
    /// its kind, and a folder that does not exist holds nothing for it.
    ///
    /// `elsewhere` says how the user names another folder; it is empty if there is no other.
    ///
    /// # Errors
    /// When the system refuses, or another node owns the folder.
    pub fn lock(&self, elsewhere: &'static str) -> Result<Locked, CheckpointError> {
        self.lock_within(DEADLINE, elsewhere)
    }

    /// As [`StateDir::lock`], but does not wait; `None` if a node has the folder.
    pub fn lock_if_free(&self) -> Option<Locked> {
        self.lock_within(Duration::ZERO, "").ok()
    }

    fn lock_within(&self, deadline: Duration, elsewhere: &'static str) -> Result<Locked, CheckpointError> {
        let path = || self.path.clone();
        let failed = |doing| {
            move |source| {
                CheckpointError::from(StateFileError::Io { doing, path: path(), source, elsewhere, then: "" })
            }
        };
        if !self.read_only {
            fs::create_dir_all(&self.path).map_err(failed("cannot make the state folder"))?;
        }
        let folder = match File::open(&self.path) {
            Err(error) if self.read_only && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Locked { _handle: None });
            }
            opened => opened.map_err(failed("cannot open the state folder"))?,
        };
        let begun = Instant::now();
        loop {
            let locked = if self.read_only { folder.try_lock_shared() } else { folder.try_lock() };
            match locked {
                Err(TryLockError::WouldBlock) if begun.elapsed() < deadline => std::thread::sleep(RETRY),
                Err(TryLockError::WouldBlock) => {
                    return Err(CheckpointError::Taken { path: path(), elsewhere });
                }
                // A file system without locks is accepted: the user then ensures that one node uses the folder.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Locked { _handle: Some(folder) }),
            }
        }
    }
}

/// Removes all snapshots except the snapshot after `updates`, the `newest` ones before it and those in `keep`. Later
/// snapshots belong to a future that a rollback gave up, so they are removed too, and so is the unfinished snapshot
/// of a node that was killed while writing.
///
/// # Errors
/// When the disk operation fails.
pub fn prune(state_dir: &Path, updates: u64, newest: usize, keep: &[u64]) -> Result<(), CheckpointError> {
    let snapshots = checkpoint::list(state_dir)?;
    remove(state_dir, superfluous(&snapshots, updates, newest, keep))
}

/// Removes all snapshots later than the snapshot after `updates`: the run gave up that future when it went back.
///
/// # Errors
/// When the disk operation fails.
pub fn forget_after(state_dir: &Path, updates: u64) -> Result<(), CheckpointError> {
    let mut snapshots = checkpoint::list(state_dir)?;
    snapshots.retain(|step| *step > updates);
    remove(state_dir, snapshots)
}

/// Removes the snapshots after these `steps`, and the unfinished snapshots.
fn remove(state_dir: &Path, steps: Vec<u64>) -> Result<(), CheckpointError> {
    let old = steps.into_iter().map(|step| checkpoint::step_folder(state_dir, step));
    for folder in old.chain(checkpoint::unfinished(state_dir)) {
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("cannot remove the old state", &folder)(source));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The steps to remove out of `snapshots`, which are in ascending order.
fn superfluous(snapshots: &[u64], updates: u64, newest: usize, keep: &[u64]) -> Vec<u64> {
    let (past, future): (Vec<u64>, Vec<u64>) = snapshots.iter().partition(|step| **step <= updates);
    let old = past.into_iter().rev().skip(newest).filter(|step| !keep.contains(step));
    old.chain(future).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir { path: dir.path().join("state"), read_only: false };
        let lock = |state: &StateDir| state.lock_within(Duration::ZERO, "give --state-dir another folder");
        let first = lock(&state).unwrap();
        let refused = lock(&state).unwrap_err().to_string();
        assert!(refused.contains(state.path.to_str().unwrap()), "{refused}");
        assert!(
            refused.starts_with("another layer-node") && refused.ends_with("another folder"),
            "{refused}"
        );
        let waiting = std::thread::spawn({
            let state = state.clone();
            move || state.lock_within(Duration::from_secs(60), "").map(drop)
        });
        drop(first);
        waiting.join().unwrap().unwrap();

        let reader = StateDir { read_only: true, ..state.clone() };
        let readers = [lock(&reader).unwrap(), lock(&reader).unwrap()];
        assert!(lock(&state).is_err());
        drop(readers);
        let absent = StateDir { path: dir.path().join("absent"), read_only: true };
        lock(&absent).unwrap();
        assert!(!absent.path.exists());
    }

    #[test]
    fn the_newest_and_the_kept_stay() {
        let removed = |updates, newest, keep: &[u64]| {
            let mut removed = superfluous(&[10, 20, 23, 30, 40], updates, newest, keep);
            removed.sort_unstable();
            removed
        };
        assert_eq!(removed(40, 2, &[]), [10, 20, 23]);
        assert_eq!(removed(40, 2, &[10, 23]), [20]);
        assert_eq!(removed(40, 9, &[]), [0; 0]);
        assert_eq!(removed(23, 2, &[]), [10, 30, 40], "a rollback gives up what came later");
    }

    #[test]
    fn what_a_killed_node_was_writing_goes_and_what_is_damaged_stays() {
        let dir = tempfile::tempdir().unwrap();
        for folder in [".writing-00000007", "damaged-step-00000006"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        prune(dir.path(), 8, 2, &[6]).unwrap();
        let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["damaged-step-00000006"]);
    }
}
