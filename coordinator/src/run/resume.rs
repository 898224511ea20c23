//! Placement a run can be taken up again: at the newest snapshot that all of its nodes have.

use super::folder::RunIdentity;
use super::recorder::Recorder;
use crate::driver::NodeAddress;
use crate::node;
use crate::run_error::{Cause, RunError};
use proto::control::{Description, HeldSnapshot};
use proto::link::Peer;
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long a node may take to see that an earlier start of the run is over: it notices a coordinator that
/// fell silent by keepalives, after at most 10 s.
const PATIENCE: Duration = Duration::from_secs(14);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Which snapshot to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The newest that all nodes have, or the beginning where there never was one.
    Auto,
    /// The one after this many updates.
    Step(u64),
}

impl FromStr for Resume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Resume::Auto),
            step => step
                .parse()
                .map(Resume::Step)
                .map_err(|_| format!("'{step}' is no step: a number or auto is")),
        }
    }
}

/// Asks every node what it has, and chooses the updates to go back to: none later than the history in
/// `metrics.jsonl`, so that no line of it is missing. Returns the snapshots that all nodes have up to there:
/// the last is that one, and where there is none the run begins from the seed.
///
/// # Errors
/// A node that cannot be reached, a step that one of them does not have, or no snapshot in common any more.
pub async fn starting_point(
    nodes: &[NodeAddress],
    deadline: Duration,
    resume: Resume,
    recorder: &mut Recorder,
) -> Result<BTreeSet<u64>, RunError> {
    let addresses: Vec<String> = nodes.iter().map(|node| node.control.clone()).collect();
    let folder = recorder.folder();
    let (written, RunIdentity { id: run, saved, .. }) = (folder.last_step()?, folder.identity().clone());
    let held: Vec<_> = idle(&addresses, deadline, &run).await?;
    let held: Vec<_> = held.iter().map(|found| steps_of(&run, &found.snapshots)).collect();
    for (stage, _) in held.iter().enumerate().filter(|(_, steps)| up_to(steps, written).is_empty()) {
        let why = if held[stage].is_empty() {
            String::new()
        } else {
            format!(" up to step {written}, where metrics.jsonl ends")
        };
        recorder.say(&format!("stage {stage} at {} holds no snapshot of this run{why}", addresses[stage]));
    }
    let common = choose(&held, written, saved, resume)
        .map_err(|refusal| refusal.failure(&addresses, recorder.folder().path()))?;
    recorder.say(&match common.last() {
        None => {
            "beginning from the seed: no later snapshot was asked for, or none ever was common to all nodes"
                .to_owned()
        }
        Some(step) => format!("going on after step {step}, from the snapshot that all nodes have"),
    });
    Ok(common)
}

/// What all nodes are, once none of them works for an earlier start of `run` any more: until then, what a
/// node has may change.
async fn idle(addresses: &[String], deadline: Duration, run: &str) -> Result<Vec<Description>, RunError> {
    let end = Instant::now() + PATIENCE;
    let peers: Vec<_> = (0..).zip(addresses).map(|(stage, address)| Peer::stage(stage).at(address)).collect();
    loop {
        let found = node::check(&peers, deadline).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let busy = |found: &Description| found.run.as_deref() == Some(run);
        let Some(stage) = found.iter().position(busy) else { return Ok(found) };
        if Instant::now() >= end {
            return Err(RunError::node(format!(
                "stage {stage} at {} still works for an earlier start of this run: end the coordinator that uses it, or restart the node",
                addresses[stage]
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn steps_of(run: &str, snapshots: &[HeldSnapshot]) -> BTreeSet<u64> {
    snapshots.iter().filter(|held| held.run == run && held.updates > 0).map(|held| held.updates).collect()
}

fn up_to(steps: &BTreeSet<u64>, last: u64) -> BTreeSet<u64> {
    steps.range(..=last).copied().collect()
}

/// Why there is nowhere to go back to.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// A stage that has not the step that was asked for, but these.
    NoSuchStep { stage: usize, step: u64, has: BTreeSet<u64> },
    /// A stage that had the snapshot after `saved`, as all had, and has it no more.
    Lost { stage: usize, saved: u64 },
    /// The history ends before the first snapshot that all have.
    Unwritten { written: u64, first: u64 },
}

/// The snapshots that all stages hold, up to the one to go back to and no later than the history, which is
/// `written` that far; none is the beginning. Once all had one, after `saved` updates, only who asks for the beginning gets it.
fn choose(
    held: &[BTreeSet<u64>],
    written: u64,
    saved: u64,
    resume: Resume,
) -> Result<BTreeSet<u64>, Refusal> {
    let all = |step: &u64| held.iter().all(|steps| steps.contains(step));
    let common: BTreeSet<u64> = held.first().into_iter().flatten().copied().filter(all).collect();
    let known = up_to(&common, written);
    match resume {
        Resume::Auto if known.is_empty() && saved > 0 => Err(match common.first() {
            Some(&first) => Refusal::Unwritten { written, first },
            // No step is common to all, so one of them has not this one.
            None => {
                let stage = held.iter().position(|steps| !steps.contains(&saved)).unwrap_or(0);
                Refusal::Lost { stage, saved }
            }
        }),
        Resume::Auto => Ok(known),
        Resume::Step(step) if step == 0 || known.contains(&step) => Ok(up_to(&known, step)),
        Resume::Step(step) => {
            let has = held.iter().map(|steps| up_to(steps, written)).enumerate();
            let mut missing = has.filter(|(_, steps)| !steps.contains(&step));
            let (stage, has) = missing.next().unwrap_or_default();
            Err(Refusal::NoSuchStep { stage, step, has })
        }
    }
}

impl Refusal {
    /// As the user hears it.
    fn failure(self, addresses: &[String], folder: &Path) -> RunError {
        const SEED: &str =
            "begin again from the seed with --resume 0, which gives up what the run has learned";
        match self {
            Refusal::NoSuchStep { stage, step, has } => {
                let has: Vec<String> = has.iter().map(u64::to_string).collect();
                let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
                RunError::configuration(format!(
                    "stage {stage} has no snapshot after step {step} (it has: {has}): --resume auto takes the newest common one"
                ))
            }
            Refusal::Lost { stage, saved } => RunError::new(
                Cause::StateGone,
                format!(
                    "stage {stage} at {} has not the snapshot after step {saved}, which all nodes had: bring its state folder back, or {SEED}",
                    addresses[stage]
                ),
            ),
            Refusal::Unwritten { written, first } => RunError::new(
                Cause::StateGone,
                format!(
                    "{} is whole up to step {written} only, and the first snapshot that all nodes have is that after step {first}: bring the file back, or {SEED}",
                    folder.join("metrics.jsonl").display()
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen where the nodes hold `held`.
    fn chosen(held: &[&[u64]], written: u64, saved: u64, resume: Resume) -> Result<BTreeSet<u64>, Refusal> {
        let held: Vec<BTreeSet<u64>> = held.iter().map(|steps| steps.iter().copied().collect()).collect();
        choose(&held, written, saved, resume)
    }

    #[test]
    fn the_newest_common_snapshot_is_chosen() {
        let chosen = |held: &[&[u64]], resume| chosen(held, 25, 0, resume);
        assert_eq!(chosen(&[&[10, 20], &[10, 20, 23], &[20, 30]], Resume::Auto), Ok([20].into()));
        assert_eq!(chosen(&[&[10, 30], &[10, 30]], Resume::Auto), Ok([10].into()), "as far as the history");
        assert_eq!(chosen(&[&[10, 20], &[], &[20]], Resume::Auto), Ok([].into()), "none ever was common");
        assert_eq!(chosen(&[&[10, 20, 25], &[10, 20, 25]], Resume::Step(20)), Ok([10, 20].into()));
        let has = |steps: &[u64]| steps.iter().copied().collect();
        let missing = |stage, step, steps| Err(Refusal::NoSuchStep { stage, step, has: has(steps) });
        assert_eq!(chosen(&[&[10, 20], &[20, 30]], Resume::Step(10)), missing(1, 10, &[20]));
        assert_eq!(chosen(&[&[10, 30], &[10, 30]], Resume::Step(30)), missing(0, 30, &[10]));
    }

    #[test]
    fn what_all_nodes_had_is_not_given_up_unasked() {
        let chosen = |held: &[&[u64]], written, resume| chosen(held, written, 20, resume);
        let lost = |stage| Err(Refusal::Lost { stage, saved: 20 });
        assert_eq!(chosen(&[&[10, 20], &[], &[20]], 25, Resume::Auto), lost(1), "an empty state folder");
        assert_eq!(chosen(&[&[], &[20]], 0, Resume::Auto), lost(0), "and the history is gone as well");
        let unwritten = Err(Refusal::Unwritten { written: 3, first: 10 });
        assert_eq!(chosen(&[&[10, 20], &[10, 20]], 3, Resume::Auto), unwritten, "a damaged history");
        assert_eq!(chosen(&[&[10, 20], &[10]], 25, Resume::Auto), Ok([10].into()), "an older one is left");
        assert_eq!(chosen(&[&[10, 20], &[]], 3, Resume::Step(0)), Ok([].into()), "who asks for it gets it");
    }
}
