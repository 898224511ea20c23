//! The state folders of a run's nodes, at one step.

use crate::state::checkpoint::{self, Snapshot};
use crate::state::state_dir::{Locked, StateDir};
use clap::Args;
use proto::spec::state::{StateTensor, state_by_name};
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Which nodes, and which of their snapshots.
#[derive(Args, Debug)]
pub struct NodesFlags {
    /// Where a node keeps its weights, or a folder of such stage-S and stage-S-backward folders (runs/NAME/state); may be
    /// repeated
    #[arg(long = "state-dir", value_name = "DIR", required = true)]
    pub state_dirs: Vec<PathBuf>,
    /// The snapshot after this many updates; the newest that all have whole by default
    #[arg(long)]
    pub step: Option<u64>,
}

/// A state folder, and the steps of its whole snapshots.
type Held = (PathBuf, Vec<u64>);

/// One snapshot of each node, all of one run and after the same updates.
pub(super) struct Nodes {
    /// In the order of the flags; never empty.
    pub(super) snapshots: Vec<Snapshot>,
    /// The locked folders of the snapshots, if these are to be changed.
    _locked: Vec<File>,
}

/// The state folders of the nodes.
pub(super) struct Served<'a> {
    /// Those that a layer-node has.
    pub(super) used: Vec<&'a Path>,
    /// The others, for as long as the value lives.
    _own: Vec<Locked>,
}

/// A node's tensor.
pub(super) struct Owned<'a> {
    /// Index into the snapshots.
    pub(super) node: usize,
    /// Shape, format and bytes.
    pub(super) view: TensorView<'a>,
}

impl Nodes {
    /// Opens the snapshots that `flags` select.
    ///
    /// # Errors
    /// When there is no such step, or the nodes are not of one run; the error is one sentence.
    pub(super) fn open(flags: &NodesFlags) -> Result<Self, String> {
        let (folders, step) = selected(flags)?;
        Self::read(&folders, step, Vec::new())
    }

    /// As [`Nodes::open`], for a command that changes the snapshots: until it has ended, no other such command has
    /// any of them.
    ///
    /// # Errors
    /// As [`Nodes::open`], or when another process changes a snapshot.
    pub(super) fn open_to_change(flags: &NodesFlags) -> Result<Self, String> {
        let (folders, step) = selected(flags)?;
        let places = folders.iter().map(|(folder, _)| checkpoint::step_folder(folder, step));
        // A node that is named twice is refused by its tensors' names.
        let places: BTreeSet<PathBuf> = places.flat_map(fs::canonicalize).collect();
        let locked = places.iter().map(|place| locked(place)).collect::<Result<Vec<_>, _>>()?;
        let locked = locked.into_iter().flatten().collect();
        Self::read(&folders, step, locked)
    }

    fn read(folders: &[Held], step: u64, locked: Vec<File>) -> Result<Self, String> {
        let snapshots = folders.iter().map(|(folder, _)| Snapshot::open(folder, step));
        let snapshots = snapshots.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let run = &snapshots[0].run;
        match snapshots.iter().find(|snapshot| snapshot.run != *run) {
            Some(other) => Err(format!(
                "{} is of run {} and {} of run {run}: name the nodes of one run",
                other.path().display(),
                other.run,
                snapshots[0].path().display()
            )),
            None => Ok(Self { snapshots, _locked: locked }),
        }
    }

    /// The run's name.
    pub(super) fn run(&self) -> &str {
        &self.snapshots[0].run
    }

    /// The number of updates that the snapshots have seen.
    pub(super) fn updates(&self) -> u64 {
        self.snapshots[0].updates
    }

    /// Locks the state folders that no layer-node has, and names the others.
    pub(super) fn served(&self) -> Served<'_> {
        let folders = self.snapshots.iter().filter_map(|snapshot| snapshot.path().parent()?.parent());
        let mut served = Served { used: Vec::new(), _own: Vec::new() };
        for folder in folders {
            match (StateDir { path: folder.to_owned(), read_only: false }).lock_if_free() {
                Some(own) => served._own.push(own),
                None => served.used.push(folder),
            }
        }
        served
    }

    /// The tensors of all nodes by name.
    ///
    /// # Errors
    /// When two nodes have a tensor of the same name; the error is one sentence.
    pub(super) fn tensors(&self) -> Result<BTreeMap<String, Owned<'_>>, String> {
        let mut all: BTreeMap<String, Owned> = BTreeMap::new();
        for (node, snapshot) in self.snapshots.iter().enumerate() {
            for (name, view) in snapshot.tensors().map_err(|error| error.to_string())? {
                if let Some(other) = all.get(&name) {
                    return Err(format!(
                        "'{name}' is in {} and in {}: name every node once, all of one cut",
                        self.snapshots[other.node].path().display(),
                        snapshot.path().display()
                    ));
                }
                all.insert(name, Owned { node, view });
            }
        }
        Ok(all)
    }
}

/// The tensors of all nodes, with the roles that follow from their names.
pub(super) fn described(owned: &BTreeMap<String, Owned>) -> Vec<StateTensor> {
    let shape = |owned: &Owned| owned.view.shape().iter().map(|&size| size as u64).collect();
    state_by_name(&owned.iter().map(|(name, owned)| (name.clone(), shape(owned))).collect())
}

/// The folders of the nodes with their steps, and the step that `flags` select.
fn selected(flags: &NodesFlags) -> Result<(Vec<Held>, u64), String> {
    let mut folders = Vec::new();
    for folder in &flags.state_dirs {
        folders.extend(stages(folder)?);
    }
    let step = match flags.step {
        Some(step) => step,
        None => newest(&folders)?,
    };
    Ok((folders, step))
}

/// Locks the folder of a snapshot; `None` if there is none, or if its file system has no locks.
fn locked(folder: &Path) -> Result<Option<File>, String> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(_)) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another import changes {}: wait for its end", folder.display()))
        }
    }
}

/// `folder` with the steps of its whole snapshots; if it has no snapshot, the folders of its stages with theirs.
fn stages(folder: &Path) -> Result<Vec<Held>, String> {
    let list = |folder: &Path| checkpoint::whole(folder).map_err(|error| error.to_string());
    let steps = list(folder)?;
    if !steps.is_empty() {
        return Ok(vec![(folder.to_owned(), steps)]);
    }
    let mut stages = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Some(order) = half(&entry.file_name().to_string_lossy()) {
            stages.push((order, entry.path()));
        }
    }
    if stages.is_empty() {
        return Err(format!(
            "there is no whole snapshot in {}: --state-dir names a node's state, as in runs/NAME/state/stage-0",
            folder.display()
        ));
    }
    stages.sort();
    stages.into_iter().map(|(_, path)| list(&path).map(|steps| (path, steps))).collect()
}

/// Whether `folder` is the folder of nodes' state folders, and not of one node's state.
pub(super) fn is_of_nodes(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders = entries.filter(|entry| entry.path().is_dir());
    folders.any(|entry| half(&entry.file_name().to_string_lossy()).is_some())
}

/// The stage of a folder `stage-S` or `stage-S-backward`, and whether it is that of the backward half.
fn half(folder: &str) -> Option<(u32, bool)> {
    let stage = folder.strip_prefix("stage-")?;
    let (number, backward) = match stage.strip_suffix("-backward") {
        Some(number) => (number, true),
        None => (stage, false),
    };
    Some((number.parse().ok()?, backward))
}

/// The newest step that all folders have.
fn newest(folders: &[Held]) -> Result<u64, String> {
    let (first, rest) = folders.split_first().ok_or("there is no state folder")?;
    let common = first.1.iter().rev().find(|step| rest.iter().all(|(_, steps)| steps.contains(step)));
    common.copied().ok_or_else(|| {
        let shown: Vec<_> =
            folders.iter().map(|(folder, steps)| format!("{} has {steps:?}", folder.display())).collect();
        format!("there is no step of which all nodes have a whole snapshot: {}", shown.join(", "))
    })
}
