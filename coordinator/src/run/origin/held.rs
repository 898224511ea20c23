//! The snapshots at nodes that the user has started: the nodes say what they hold, and a run can begin if each has its
//! own.

use crate::node;
use crate::prepare::{Placement, Prepared, file_stem};
use crate::run_error::{Cause, RunError};
use crate::weights::{Backward, Mark};
use proto::control::Description;
use proto::link::Peer;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the snapshots are from, for sentences.
pub(super) enum Given<'a> {
    /// Files of weights, and the B in place of theirs.
    Files(&'a [PathBuf], Option<Backward>),
    /// The id of parts.
    Id(&'a str),
    /// The folder of another run.
    Run(&'a Path),
}

impl Given<'_> {
    /// The sentence for the node `peer`, which lacks the snapshot after `updates`, if these are known.
    fn lacking(&self, peer: &Peer, updates: Option<u64>) -> RunError {
        let after = updates.map_or_else(String::new, |updates| format!(" after {updates} updates"));
        let part = format!("{}.safetensors", file_stem(peer.role));
        let import = format!("layer-node import --state-dir STATE DIR/{part} at that node");
        RunError::new(
            Cause::StateGone,
            match self {
                Given::Files(files, backward) => {
                    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                    let files = files.join(" ");
                    let backward = backward.map_or_else(String::new, |of| format!(" --backward {of}"));
                    format!(
                        "{peer} has no part of {files}: first coordinator split --init {files}{backward} --config FILE --out DIR, then {import}"
                    )
                }
                Given::Id(id) => format!(
                    "{peer} has no part of {id}{after}: first coordinator split, which prints this id and writes {part}, then {import}"
                ),
                Given::Run(folder) => format!(
                    "{peer} holds no state of the run in {}{after}: give --nodes that keep it, in its order, or layer-node export that state, coordinator split --init the file, and {import}",
                    folder.display()
                ),
            },
        )
    }
}

/// Checks that every node has the snapshot `mark`.
///
/// # Errors
/// The first node that does not answer or lacks it.
pub(super) async fn check(
    prepared: &Prepared,
    placement: &Placement,
    mark: &Mark,
    given: &Given<'_>,
) -> Result<(), RunError> {
    for (peer, found) in described(prepared, placement).await? {
        if !updates(&found, &mark.run).contains(&mark.updates) {
            return Err(given.lacking(&peer, Some(mark.updates)));
        }
    }
    Ok(())
}

/// The updates of the newest snapshot of `run` that every node has.
///
/// # Errors
/// The first node that does not answer, or has none that all others have.
pub(super) async fn newest(
    prepared: &Prepared,
    placement: &Placement,
    run: &str,
    given: &Given<'_>,
) -> Result<u64, RunError> {
    let mut common: Option<Vec<u64>> = None;
    for (peer, found) in described(prepared, placement).await? {
        let mut held = updates(&found, run);
        held.retain(|step| common.as_ref().is_none_or(|common| common.contains(step)));
        if held.is_empty() {
            return Err(given.lacking(&peer, common.and_then(|common| common.into_iter().max())));
        }
        common = Some(held);
    }
    let newest = common.and_then(|common| common.into_iter().max());
    newest.ok_or_else(|| RunError::internal("a run has no node: this is a bug, please report it"))
}

fn updates(found: &Description, run: &str) -> Vec<u64> {
    found.snapshots.iter().filter(|held| held.run == run).map(|held| held.updates).collect()
}

/// The nodes with what they say.
async fn described(prepared: &Prepared, placement: &Placement) -> Result<Vec<(Peer, Description)>, RunError> {
    let Placement::Remote { nodes, backward_nodes, .. } = placement else { return Ok(Vec::new()) };
    let addresses = nodes.iter().chain(backward_nodes);
    let peers: Vec<Peer> =
        prepared.roles().into_iter().zip(addresses).map(|(role, at)| Peer::of(role).at(at)).collect();
    let deadline = Duration::from_secs_f64(prepared.config.network.connect_deadline);
    let found = node::wait_for(&placement.security(), &peers, deadline).await?;
    Ok(peers.into_iter().zip(found).collect())
}
