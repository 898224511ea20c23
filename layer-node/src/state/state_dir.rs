//! The state folder: one node owns it at a time, and removes old snapshots from it.

use crate::state::checkpoint::{self, CheckpointError};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a node waits for the folder's earlier owner, which may still be writing its state.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often the node tries to lock the folder meanwhile.
const RETRY: Duration = Duration::from_millis(50);

/// A folder that this process owns for as long as the value lives. The system releases the folder when the process
/// ends, however it ends.
///
/// A stopped process (SIGSTOP) still owns its folder: otherwise it could continue later, and write an old state as
/// the newest while another node works there.
#[derive(Debug)]
pub struct Owned {
    _locked: File,
}

/// Creates the folder if it does not exist, and locks it.
///
/// # Errors
/// When the system refuses, or another node owns the folder. The error names the flag to change.
pub fn own(state_dir: &Path) -> Result<Owned, CheckpointError> {
    own_within(state_dir, DEADLINE)
}

/// Locks the folder if no node has it; `None` if one has it.
pub fn own_if_free(state_dir: &Path) -> Option<Owned> {
    own_within(state_dir, Duration::ZERO).ok()
}

fn own_within(state_dir: &Path, deadline: Duration) -> Result<Owned, CheckpointError> {
    let failed = |doing| {
        move |source| CheckpointError::Io {
            doing,
            path: state_dir.to_owned(),
            source,
            advice: "give --state-dir a folder that can be written",
        }
    };
    fs::create_dir_all(state_dir).map_err(failed("cannot make the state folder"))?;
    let folder = File::open(state_dir).map_err(failed("cannot open the state folder"))?;
    let begun = Instant::now();
    loop {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < deadline => std::thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => return Err(CheckpointError::Taken(state_dir.to_owned())),
            // A file system without locks is accepted: the user then ensures that one node uses the folder.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(Owned { _locked: folder }),
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
                let doing = "cannot remove the old state";
                let advice = "check the state folder, its permissions and its disk";
                return Err(CheckpointError::Io { doing, path: folder, source, advice });
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
        let state = dir.path().join("state");
        let first = own_within(&state, Duration::ZERO).unwrap();
        let refused = own_within(&state, Duration::ZERO).unwrap_err().to_string();
        assert!(refused.contains(state.to_str().unwrap()), "{refused}");
        assert!(refused.contains("another layer-node"), "{refused}");
        let waiting = std::thread::spawn({
            let state = state.clone();
            move || own_within(&state, Duration::from_secs(60)).map(drop)
        });
        drop(first);
        waiting.join().unwrap().unwrap();
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
