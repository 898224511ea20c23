//! Where a run can be taken up again: at the newest snapshot that all of its nodes have.

use super::recorder::Recorder;
use crate::driver::NodeAddress;
use crate::failure::{Cause, Failure};
use crate::node;
use proto::control::{Description, HeldSnapshot};
use std::collections::BTreeSet;
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
    /// The newest that all nodes have, or the beginning where there is none.
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
/// A node that cannot be reached, or a step that one of them does not have.
pub async fn starting_point(
    nodes: &[NodeAddress],
    deadline: Duration,
    run: &str,
    resume: Resume,
    recorder: &mut Recorder,
) -> Result<BTreeSet<u64>, Failure> {
    let addresses: Vec<String> = nodes.iter().map(|node| node.control.clone()).collect();
    let written = recorder.folder().last_step()?;
    let mut held = Vec::with_capacity(nodes.len());
    for (stage, found) in idle(&addresses, deadline, run).await?.into_iter().enumerate() {
        let steps = steps_of(run, &found.snapshots, written);
        if steps.is_empty() {
            let later = found.snapshots.iter().any(|held| held.run == run);
            let why = if later {
                format!(" up to step {written}, where metrics.jsonl ends")
            } else {
                String::new()
            };
            recorder
                .say(&format!("stage {stage} at {} holds no snapshot of this run{why}", addresses[stage]));
        }
        held.push(steps);
    }
    let common = choose(&held, resume)?;
    recorder.say(&match common.last() {
        None => "beginning from the seed: no later snapshot was asked for, or none is common to all nodes"
            .to_owned(),
        Some(step) => format!("going on after step {step}, from the snapshot that all nodes have"),
    });
    Ok(common)
}

/// What all nodes are, once none of them works for an earlier start of `run` any more: until then, what a
/// node has may change.
async fn idle(addresses: &[String], deadline: Duration, run: &str) -> Result<Vec<Description>, Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let checked = node::check(addresses, deadline).await.into_iter().enumerate();
        let found = checked
            .map(|(stage, found)| found.map_err(|error| Failure::node(format!("stage {stage} at {error}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let busy = |found: &Description| found.run.as_deref() == Some(run);
        let Some(stage) = found.iter().position(busy) else { return Ok(found) };
        if Instant::now() >= end {
            return Err(Failure::node(format!(
                "stage {stage} at {} still works for an earlier start of this run: end the coordinator that uses it, or restart the node",
                addresses[stage]
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn steps_of(run: &str, snapshots: &[HeldSnapshot], written: u64) -> BTreeSet<u64> {
    snapshots
        .iter()
        .filter(|held| held.run == run && (1..=written).contains(&held.updates))
        .map(|held| held.updates)
        .collect()
}

/// The snapshots that all stages hold, up to the one to go back to; none is the beginning.
fn choose(held: &[BTreeSet<u64>], resume: Resume) -> Result<BTreeSet<u64>, Failure> {
    let all = |step: &u64| held.iter().all(|steps| steps.contains(step));
    let mut common: BTreeSet<u64> = held.first().into_iter().flatten().copied().filter(all).collect();
    let step = match resume {
        Resume::Auto => return Ok(common),
        Resume::Step(step) => step,
    };
    let missing = held.iter().position(|steps| !steps.contains(&step));
    let Some(stage) = missing.filter(|_| step > 0) else {
        common.retain(|held| *held <= step);
        return Ok(common);
    };
    let has: Vec<String> = held[stage].iter().map(u64::to_string).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    Err(Failure::new(
        Cause::Configuration,
        format!(
            "stage {stage} has no snapshot after step {step} (it has: {has}): --resume auto takes the newest common one"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_snapshot_is_chosen() {
        let chosen = |held: &[&[u64]], resume| {
            let held: Vec<BTreeSet<u64>> = held.iter().map(|steps| steps.iter().copied().collect()).collect();
            choose(&held, resume).map_err(|failure| failure.sentence)
        };
        assert_eq!(chosen(&[&[10, 20], &[10, 20, 23], &[20, 30]], Resume::Auto), Ok([20].into()));
        assert_eq!(chosen(&[&[10, 20], &[], &[20]], Resume::Auto), Ok([].into()));
        assert_eq!(chosen(&[&[10, 20, 30], &[10, 20, 30]], Resume::Step(20)), Ok([10, 20].into()));
        assert_eq!(chosen(&[&[10], &[10]], Resume::Step(0)), Ok([].into()));
        assert!(chosen(&[&[10, 20], &[20, 30]], Resume::Step(10)).unwrap_err().contains("stage 1"));
    }
}
