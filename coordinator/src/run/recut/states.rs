//! The states of a run in the folders of its local nodes, whatever cut they are of.

use crate::record::files::lock;
use crate::run_error::RunError;
use proto::control::HeldSnapshot;
use proto::disk::cannot;
use proto::spec::stage::Half;
use proto::state_file::{Snapshot, StateFileError, of_folder};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the nodes of an earlier start may take to write their last state and end.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often their folders are tried meanwhile.
const RETRY: Duration = Duration::from_millis(50);

/// The folders of a run's local nodes, which no node has while the value lives.
pub(super) struct States {
    nodes: Vec<NodeState>,
}

/// The folder of one node.
struct NodeState {
    /// The name of the folder, as in `stage-3-backward`.
    name: String,
    path: PathBuf,
    /// The run's snapshots that lie in the folder.
    held: Vec<HeldSnapshot>,
    _locked: File,
}

impl States {
    /// Locks the folders of the nodes in `state`, and lists the snapshots of `run`.
    ///
    /// # Errors
    /// A folder that cannot be read, or that a node of an earlier start does not give up.
    pub(super) fn open(state: &Path, run: &str) -> Result<Self, RunError> {
        let mut nodes = Vec::new();
        for path in folders(state)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let _locked = locked(&path)?;
            let held = of_folder(&path).map_err(RunError::internal)?;
            let own = held.into_iter().filter(|held| held.run == run && held.updates > 0);
            nodes.push(NodeState { held: own.collect(), name, path, _locked });
        }
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { nodes })
    }

    /// Whether every snapshot is one of the node of its folder's name; `due` has the names of the nodes, with the
    /// fingerprints of their states.
    pub(super) fn are_of(&self, due: &[(String, u64)]) -> bool {
        let fits = |node: &NodeState, held: &HeldSnapshot| {
            due.iter().any(|(name, tensors)| *name == node.name && *tensors == held.tensors)
        };
        self.nodes.iter().all(|node| node.held.iter().all(|held| fits(node, held)))
    }

    /// The folders of the nodes with their names.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.nodes.iter().map(|node| (node.name.as_str(), node.path.as_path()))
    }

    /// The numbers of stages and of backward nodes with a snapshot.
    pub(super) fn parties(&self) -> [usize; 2] {
        let of = |half| {
            let backward = half == Half::Backward;
            let nodes = self.nodes.iter().filter(|node| !node.held.is_empty());
            nodes.filter(|node| node.name.ends_with("-backward") == backward).count()
        };
        [of(Half::Forward), of(Half::Backward)]
    }

    /// The updates of the snapshots that any node has, ascending.
    pub(super) fn steps(&self) -> BTreeSet<u64> {
        self.nodes.iter().flat_map(|node| &node.held).map(|held| held.updates).collect()
    }

    /// Whether weights were imported into the snapshot after `step`, at any node.
    pub(super) fn imported(&self, step: u64) -> bool {
        let mut held = self.nodes.iter().flat_map(|node| &node.held);
        held.any(|held| held.updates == step && held.imported)
    }

    /// Reads all snapshots after `step`, checked to the last byte; `Err` has the reason why one is of no use.
    ///
    /// # Errors
    /// A file that the system cannot read.
    pub(super) fn read(&self, step: u64) -> Result<Result<Vec<Snapshot>, String>, RunError> {
        let has = |node: &&NodeState| node.held.iter().any(|held| held.updates == step);
        let mut snapshots = Vec::new();
        for node in self.nodes.iter().filter(has) {
            match Snapshot::open(&node.path, step) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(error @ StateFileError::Io { .. }) => return Err(RunError::internal(error)),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(Ok(snapshots))
    }
}

/// The folders in `state`; a run that has started no node yet has none.
fn folders(state: &Path) -> Result<Vec<PathBuf>, RunError> {
    let unread = |error| RunError::internal(cannot("cannot read", state, &error, ""));
    let entries = match fs::read_dir(state) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unread)?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths = paths.collect::<Result<Vec<_>, _>>().map_err(unread)?;
    Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
}

/// Locks the folder of a node.
fn locked(path: &Path) -> Result<File, RunError> {
    let folder =
        File::open(path).map_err(|error| RunError::internal(cannot("cannot open", path, &error, "")))?;
    let begun = Instant::now();
    // On a file system without locks the user must make sure that no node uses the folder.
    while matches!(lock(&folder), Ok(false)) {
        if begun.elapsed() >= DEADLINE {
            return Err(RunError::node(format!(
                "a layer-node of an earlier start has the state folder {}: end that one first (kill -CONT, if it was stopped)",
                path.display()
            )));
        }
        std::thread::sleep(RETRY);
    }
    Ok(folder)
}
