//! The snapshots of other runs in a node's folder: each run has a folder of its own in `previous`.

use super::header::described;
use super::of_folder;
use crate::control::HeldSnapshot;
use std::fs;
use std::path::{Path, PathBuf};

/// The number of runs that are searched, the last set aside first: a node must answer soon, however many runs it has
/// had.
const RUNS: usize = 64;

/// The most characters of a run's name.
const MAX_RUN: usize = 64;

/// Whether a folder of its own can have the name of `run`.
pub fn is_name(run: &str) -> bool {
    (1..=MAX_RUN).contains(&run.len()) && run.chars().all(is_plain)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// The folder of `run`'s snapshots while the node works for another run.
pub fn folder_of(state_dir: &Path, run: &str) -> PathBuf {
    let name: String = run.chars().filter(|c| is_plain(*c)).take(MAX_RUN).collect();
    state_dir.join("previous").join(name)
}

/// The folder that has the snapshot of `run` after `updates`: the node's own, or else the run's folder in `previous`.
/// If neither has the snapshot, the answer is the node's own folder.
pub fn place_of(state_dir: &Path, run: &str, updates: u64) -> PathBuf {
    let aside = folder_of(state_dir, run);
    let in_it = |folder: &Path| described(folder, updates).is_some_and(|held| held.run == run);
    if !in_it(state_dir) && in_it(&aside) { aside } else { state_dir.to_owned() }
}

/// The complete snapshots of the runs that were set aside.
pub(super) fn held(state_dir: &Path) -> Vec<HeldSnapshot> {
    let runs = fs::read_dir(state_dir.join("previous")).into_iter().flatten().flatten();
    let dated = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut runs: Vec<_> = runs.filter_map(dated).collect();
    runs.sort_unstable_by(|a, b| b.cmp(a));
    let held = runs.into_iter().take(RUNS).flat_map(|(_, place)| {
        let found = of_folder(&place).unwrap_or_default().into_iter();
        // A snapshot in the folder of another run could not be found again.
        found.filter(move |held| folder_of(state_dir, &held.run) == place)
    });
    held.collect()
}
