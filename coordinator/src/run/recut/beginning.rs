//! The parts of the files or of the state that a run began from, which lie beside the run's own snapshots in its nodes'
//! folders: a run that goes back to its beginning needs them in the new cut too.

use super::NewNode;
use super::states::States;
use crate::run_error::RunError;
use crate::weights::{Backward, Fit, Keep, Mark, Source};
use proto::spec::begin::Begin;
use proto::spec::stage::{Half, StageSpec};
use proto::state_file::{Snapshot, StateFileError, described, folder_of};
use std::path::Path;

/// The parts of `begin` with the names of their folders, each checked to its last byte.
fn parts(states: &States, begin: &Begin) -> Result<Vec<(String, Snapshot)>, StateFileError> {
    let place = |(name, folder): (&str, &Path)| (name.to_owned(), folder_of(folder, &begin.run));
    let places = states.folders().map(place);
    let there = places.filter(|(_, folder)| described(folder, begin.updates).is_some());
    there.map(|(name, folder)| Ok((name, Snapshot::open(&folder, begin.updates)?))).collect()
}

/// Whether every tensor of the parts lies in the folder of the node that keeps it in the new cut. A backward node needs a
/// part of its own where B begins as W, which it does not have.
///
/// # Errors
/// A part that cannot be read.
pub(super) fn fits(states: &States, begin: &Begin, new: &[NewNode]) -> Result<bool, RunError> {
    let parts = parts(states, begin).map_err(RunError::internal)?;
    for (name, part) in &parts {
        let Some(node) = new.iter().find(|node| node.name == *name) else { return Ok(false) };
        let tensors = part.tensors().map_err(RunError::internal)?;
        if !tensors.iter().all(|(name, _)| node.state.iter().any(|tensor| tensor.name == *name)) {
            return Ok(false);
        }
    }
    let has = |node: &NewNode| parts.iter().any(|(name, _)| *name == node.name);
    let copies = |node: &&NewNode| begin.backward_is_weight && node.half == Half::Backward;
    Ok(parts.is_empty() || new.iter().filter(copies).all(has))
}

/// Cuts the parts of `begin` for the nodes `specs`, whose state folders are in `next`. Without a part there is nothing to
/// do: the nodes refuse to begin from what they do not have. A run that `goes_on` from a snapshot does not need the parts:
/// those that cannot be read are left out then, and the message says so.
///
/// # Errors
/// A part that cannot be read, unless the run goes on, or one that cannot be written.
pub(super) fn carry(
    states: &States,
    begin: &Begin,
    specs: &[StageSpec],
    next: &Path,
    goes_on: bool,
) -> Result<Option<String>, RunError> {
    let parts = match parts(states, begin) {
        Ok(parts) if parts.is_empty() => return Ok(None),
        Ok(parts) => parts,
        Err(why) if goes_on => {
            return Ok(Some(format!("the weights from which the run began were left out: {why}")));
        }
        Err(why) => return Err(RunError::internal(why)),
    };
    let source = Source::of_snapshots(parts.into_iter().map(|(_, part)| part).collect());
    let backward = begin.backward_is_weight.then_some(Backward::Weight);
    let keep = Keep { optimizer: begin.optimizer, backward, finite: false };
    let fit = Fit::of(&source, specs, keep).map_err(RunError::internal)?;
    let mark = Mark { run: begin.run.clone(), updates: begin.updates };
    for part in &fit.parts {
        let folder = folder_of(&next.join(crate::prepare::file_stem(part.role)), &mark.run);
        part.save(&folder, &mark).map_err(RunError::internal)?;
    }
    Ok(None)
}
