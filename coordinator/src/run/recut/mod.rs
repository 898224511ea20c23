//! Another cut of the same run, on this host: where the states of the nodes are of another cut than the configuration's,
//! each tensor of each snapshot goes into the folder of the node that keeps it now. Bytes are copied, no node is started,
//! and what lies in the folders decides, whichever cut `config.toml` names.

mod beginning;
mod join;
mod states;
mod swap;

use super::resume::Resume;
use crate::plural::parties;
use crate::prepare::{Prepared, file_stem, nodes};
use crate::record::RunFolder;
use crate::record::files::unwritable;
use crate::run_error::{Cause, RunError};
use join::Joined;
use proto::spec::fingerprint::fingerprint;
use proto::spec::stage::{Half, StageSpec};
use proto::spec::state::{StateTensor, state_of};
use states::States;
use std::fs;
use std::path::Path;
use swap::{Swap, synced};

/// A node of the new cut.
pub(super) struct NewNode {
    /// The name of its state folder.
    name: String,
    half: Half,
    /// The tensors of its state.
    state: Vec<StateTensor>,
}

/// Cuts the states of local nodes anew, where they are of another cut than the one of `prepared`. The run resumes as
/// `resume` says. Returns the messages about it.
///
/// # Errors
/// States of which no whole one is left, unless the run begins again from the seed; or a folder that cannot be read or
/// written, or that a node still has. The former states are whole then.
pub fn recut(folder: &mut RunFolder, prepared: &Prepared, resume: Resume) -> Result<Vec<String>, RunError> {
    let swap = Swap::of(folder.path());
    swap.settle()?;
    let identity = folder.identity().clone();
    let specs = nodes(&prepared.stages(&identity.id, identity.incarnation, None, None)?);
    let new = specs.iter().map(NewNode::of).collect::<Result<Vec<_>, _>>()?;
    let states = States::open(&swap.state, &identity.id)?;
    let due: Vec<(String, u64)> = new.iter().map(NewNode::fingerprint).collect();
    // The beginning lies in the cut of the snapshots, if there are any.
    let begin = identity.begin.as_ref();
    let begins = begin.filter(|_| states.steps().is_empty());
    if states.are_of(&due) && begins.map_or(Ok(true), |begin| beginning::fits(&states, begin, &new))? {
        return Ok(Vec::new());
    }
    exists(&states, resume)?;
    swap.prepare()?;
    let write = || {
        let cut = cut(&states, &new, &identity.id, &swap.next)?.unless_lost(identity.saved, resume)?;
        let carry = |begin| beginning::carry(&states, begin, &specs, &swap.next, !cut.steps.is_empty());
        let unread = begin.map_or(Ok(None), carry)?;
        synced(&swap.next).map(|()| (cut, unread))
    };
    let (cut, unread) = write().inspect_err(|_| swap.give_up())?;
    swap.put()?;
    folder.recut()?;
    swap.forget();
    Ok(unread.into_iter().chain(cut.told(states.parties(), &new)).collect())
}

/// Refuses a step after which no node has a snapshot, before the states are changed.
fn exists(states: &States, resume: Resume) -> Result<(), RunError> {
    let steps = states.steps();
    match resume {
        Resume::Step(step) if step > 0 && !steps.contains(&step) => {
            let has: Vec<String> = steps.iter().map(u64::to_string).collect();
            let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
            Err(RunError::configuration(format!(
                "the nodes have no snapshot after step {step} (they have: {has}): --resume auto takes the newest common one"
            )))
        }
        _ => Ok(()),
    }
}

impl NewNode {
    fn of(spec: &StageSpec) -> Result<Self, RunError> {
        let state = state_of(spec).map_err(RunError::configuration)?;
        Ok(Self { name: file_stem(spec.role()), half: spec.half, state })
    }

    fn fingerprint(&self) -> (String, u64) {
        let tensors = self.state.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()));
        (self.name.clone(), fingerprint(tensors))
    }
}

/// The snapshots that were cut anew, and those that were left out.
struct Recut {
    /// The updates of those that were cut anew.
    steps: Vec<u64>,
    /// The updates of those that were left out, each with the reason.
    left_out: Vec<(u64, String)>,
}

/// Writes the snapshots of `run` that all nodes have into the folders of the `new` nodes in `next`.
fn cut(states: &States, new: &[NewNode], run: &str, next: &Path) -> Result<Recut, RunError> {
    for folder in new.iter().map(|node| next.join(&node.name)) {
        fs::create_dir(&folder).map_err(|error| unwritable(&folder, &error))?;
    }
    let mut cut = Recut { steps: Vec::new(), left_out: Vec::new() };
    for step in states.steps() {
        let snapshots = states.read(step)?;
        let joined =
            snapshots.as_deref().map_err(Clone::clone).and_then(|snapshots| Joined::of(snapshots, new));
        match joined {
            Ok(joined) => {
                let written =
                    new.iter().try_for_each(|node| joined.save(node, run, step, states.imported(step), next));
                written.map_err(RunError::internal)?;
                cut.steps.push(step);
            }
            Err(why) => cut.left_out.push((step, why)),
        }
    }
    Ok(cut)
}

impl Recut {
    /// The same, unless it lost the snapshot that all nodes had (`saved` is not 0 then) and the run is to go on with it.
    fn unless_lost(self, saved: u64, resume: Resume) -> Result<Self, RunError> {
        match self.left_out.last() {
            Some((step, why)) if self.steps.is_empty() && saved > 0 && resume != Resume::Step(0) => {
                Err(RunError::new(
                    Cause::StateGone,
                    format!(
                        "the states are of another cut, and the snapshots after step {step} cannot be cut anew: {why}: bring the state folder back, or begin again from the seed with --resume 0, which gives up what the run has learned"
                    ),
                ))
            }
            _ => Ok(self),
        }
    }

    /// The messages about it: the nodes had `former` numbers of stages and of backward nodes, and are the `new` ones.
    fn told(&self, former: [usize; 2], new: &[NewNode]) -> Vec<String> {
        let count = |half| new.iter().filter(|node| node.half == half).count();
        let now = [count(Half::Forward), count(Half::Backward)];
        let cut = match former == now {
            true => format!("{}, which begin at other layers", parties(now[0], now[1])),
            false => format!("{} → {}", parties(former[0], former[1]), parties(now[0], now[1])),
        };
        let left_out = self
            .left_out
            .iter()
            .map(|(step, why)| format!("the snapshots after step {step} were left out: {why}"));
        let taken = match (steps(&self.steps), self.left_out.is_empty()) {
            (Some(steps), _) => format!("the snapshots after {steps} were cut anew: {cut}"),
            (None, true) => "the weights from which the run begins were cut anew".to_owned(),
            (None, false) => "there is no snapshot of another cut to go on with".to_owned(),
        };
        left_out.chain([taken]).collect()
    }
}

/// Steps in words; `None` for none.
fn steps(steps: &[u64]) -> Option<String> {
    let shown: Vec<String> = steps.iter().map(u64::to_string).collect();
    match &shown[..] {
        [] => None,
        [only] => Some(format!("step {only}")),
        [all @ .., last] => Some(format!("steps {} and {last}", all.join(", "))),
    }
}
