//! The state of another run on this host: the snapshots in its folder.

use crate::record::{RunIdentity, share};
use crate::run_error::{Cause, RunError};
use crate::weights::{Mark, Source};
use proto::state_file::{Snapshot, held, place_of};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Another run, which no process changes for as long as the value lives.
pub(super) struct Other<'a> {
    folder: &'a Path,
    identity: RunIdentity,
    _shared: File,
}

impl<'a> Other<'a> {
    /// Opens the run in `folder` for a new run in `run_dir`.
    ///
    /// # Errors
    /// A folder without a run, or the new run's own, or one that another process works on.
    pub(super) fn open(folder: &'a Path, run_dir: &Path) -> Result<Self, RunError> {
        let same = |one: &Path, two: &Path| matches!((one.canonicalize(), two.canonicalize()), (Ok(one), Ok(two)) if one == two);
        if same(folder, run_dir) {
            return Err(RunError::configuration(format!(
                "--from {} is the folder of the new run itself: choose another --name, or go on with it by --resume auto",
                folder.display()
            )));
        }
        let identity = RunIdentity::read(folder, "give --from the folder of a run")?;
        Ok(Self { folder, identity, _shared: share(folder)? })
    }

    /// The run's name for its nodes.
    pub(super) fn id(&self) -> &str {
        &self.identity.id
    }

    /// The snapshots of all nodes after `step` updates, or else the newest that all have.
    ///
    /// # Errors
    /// A folder without the state of local nodes, or a snapshot that is missing or damaged.
    pub(super) fn snapshots(&self, step: Option<u64>) -> Result<(Source, Mark), RunError> {
        let folders = self.state_folders()?;
        let steps = folders.iter().map(|folder| self.steps(folder)).collect::<Result<Vec<_>, _>>()?;
        let common: BTreeSet<u64> = steps
            .iter()
            .flatten()
            .copied()
            .filter(|step| steps.iter().all(|steps| steps.contains(step)))
            .collect();
        let chosen = step.or_else(|| common.last().copied()).filter(|step| common.contains(step));
        let updates = chosen.ok_or_else(|| self.without(step, &common))?;
        let open = |folder: &PathBuf| Snapshot::open(&place_of(folder, self.id(), updates), updates);
        let snapshots = folders.iter().map(open).collect::<Result<Vec<_>, _>>();
        let snapshots = snapshots.map_err(RunError::configuration)?;
        Ok((Source::of_snapshots(snapshots), Mark { run: self.id().to_owned(), updates }))
    }

    /// The folders of the run's nodes.
    fn state_folders(&self) -> Result<Vec<PathBuf>, RunError> {
        let entries = fs::read_dir(self.folder.join("state")).into_iter().flatten().flatten();
        let named = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("stage-");
        let mut folders: Vec<PathBuf> = entries.filter(named).map(|entry| entry.path()).collect();
        folders.sort_unstable();
        let between = ["state.recut", "state.before"].map(|name| self.folder.join(name));
        match folders.is_empty() {
            false => Ok(folders),
            true if between.iter().any(|left| left.is_dir()) => Err(RunError::new(
                Cause::StateGone,
                format!(
                    "a start of {} was killed while it cut the states anew, and they lie in state.recut and state.before: resume it first",
                    self.folder.display()
                ),
            )),
            true => Err(RunError::new(
                Cause::StateGone,
                format!(
                    "{} holds no state of nodes: its nodes keep it elsewhere, so layer-node export it there, and give --init the file",
                    self.folder.display()
                ),
            )),
        }
    }

    fn steps(&self, folder: &Path) -> Result<Vec<u64>, RunError> {
        let held = held(folder).map_err(RunError::configuration)?.into_iter();
        Ok(held.filter(|held| held.run == self.id()).map(|held| held.updates).collect())
    }

    fn without(&self, step: Option<u64>, common: &BTreeSet<u64>) -> RunError {
        let folder = self.folder.display();
        let has: Vec<String> = common.iter().map(u64::to_string).collect();
        RunError::new(
            Cause::StateGone,
            match (step, &has[..]) {
                (Some(step), [_, ..]) => format!(
                    "{folder} has no snapshot after step {step} of all its nodes: give --step one of {}",
                    has.join(", ")
                ),
                _ => format!(
                    "{folder} has no snapshot that all its nodes have: train that run until it has one"
                ),
            },
        )
    }
}
