//! The import of a part: the file that `coordinator split` made for this node becomes a snapshot of its run.
//!
//! Whether a node serves there does not matter: the new file is written beside its place and renamed, and a node looks for
//! it only when a coordinator configures it.

use super::count;
use super::nodes::{NodesFlags, is_of_nodes};
use crate::state::checkpoint::{DRAWN, PART, Snapshot, folder_of, place_of, seal};
use proto::state_file::{self, described, is_name};
use proto::weights::Source;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A part, whose bytes are those that were written.
pub(super) struct Part {
    snapshot: Snapshot,
    metadata: HashMap<String, String>,
}

impl Part {
    /// The part in the files; `None` if they are weights of any program.
    ///
    /// # Errors
    /// A part beside other files, or one that is damaged; the error is one sentence.
    pub(super) fn of(files: &Source, paths: &[PathBuf]) -> Result<Option<Self>, String> {
        let mut all = files.metadata()?.into_iter().zip(paths);
        let Some((metadata, path)) = all.find(|(metadata, _)| metadata.contains_key(PART)) else {
            return Ok(None);
        };
        let shown = path.display();
        if paths.len() > 1 {
            return Err(format!(
                "{shown} was cut for one node: import it by itself, into the --state-dir of that node"
            ));
        }
        let updates = metadata.get("step").and_then(|step| step.parse().ok());
        let updates =
            updates.ok_or_else(|| format!("{shown} names no step: let coordinator split write it again"))?;
        let snapshot = Snapshot::at(path.clone(), updates).map_err(|error| error.to_string())?;
        if !is_name(&snapshot.run) {
            return Err(format!("{shown} names no run: let coordinator split write it again"));
        }
        Ok(Some(Self { metadata: snapshot.metadata().map_err(|error| error.to_string())?, snapshot }))
    }

    /// Puts the part into the state folder that `flags` name, in the place of a snapshot of the same run after the same
    /// updates, if there is one. Returns a summary in one line.
    ///
    /// # Errors
    /// Several folders, or the one of all nodes' folders, or a disk operation that fails; the error is one sentence.
    pub(super) fn place(self, flags: &NodesFlags) -> Result<String, String> {
        let Snapshot { ref run, updates, .. } = self.snapshot;
        let shown = self.snapshot.path().display();
        let [state_dir] = &flags.state_dirs[..] else {
            return Err(format!("{shown} was cut for one node: name the --state-dir of that node alone"));
        };
        if let Some(step) = flags.step.filter(|step| *step != updates) {
            return Err(format!("{shown} is a state after {updates} updates, not {step}: leave out --step"));
        }
        if is_of_nodes(state_dir) {
            let own =
                self.metadata.get(PART).map_or_else(String::new, |part| part.escape_debug().to_string());
            return Err(format!(
                "{shown} was cut for one node, and {} has the folders of several: give --state-dir {}",
                state_dir.display(),
                state_dir.join(own).display()
            ));
        }
        let (folder, replaced) = place(state_dir, run, updates);
        let tensors = self.snapshot.tensors().map_err(|error| error.to_string())?;
        let mut metadata = self.metadata.clone();
        seal(&mut metadata, tensors.iter().map(|(_, view)| view.data()));
        let taken = count(tensors.len(), "tensor");
        state_file::save(&folder, updates, tensors, metadata).map_err(|error| error.to_string())?;
        let said = |key: &str| self.metadata.get(key).map_or("", String::as_str);
        let drawn = said(DRAWN).split_whitespace().count();
        Ok(format!(
            "{shown}: {taken} for {}, {drawn} to be drawn, {} {} as the state of run {run} after {updates} updates\n",
            said(PART).escape_debug(),
            if replaced { "replaced in" } else { "put into" },
            folder.display()
        ))
    }
}

/// The folder for the snapshot of `run` after `updates`, and whether it is there already.
fn place(state_dir: &Path, run: &str, updates: u64) -> (PathBuf, bool) {
    let own = place_of(state_dir, run, updates);
    match described(&own, updates) {
        Some(held) if held.run == run => (own, true),
        _ => (folder_of(state_dir, run), false),
    }
}
