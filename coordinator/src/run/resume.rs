//! The snapshot at which a run is taken up again: the newest that all of its nodes have.

use crate::failure::{Cause, Failure};
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

/// Which snapshot to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The newest snapshot that all nodes have, or the beginning where there never was one.
    Auto,
    /// The snapshot after this many updates.
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

/// The steps no later than `last`.
pub fn up_to(steps: &BTreeSet<u64>, last: u64) -> BTreeSet<u64> {
    steps.range(..=last).copied().collect()
}

/// Why a run cannot go back.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A stage has not the snapshot after the `step` that was asked for.
    NoSuchStep { stage: usize, step: u64, has: BTreeSet<u64> },
    /// A stage has no longer the snapshot after `saved`, which all had.
    Lost { stage: usize, saved: u64 },
    /// The history ends before the first snapshot that all have.
    Unwritten { written: u64, first: u64 },
}

/// The snapshots that all stages hold, of which the run goes back to the last: none later than the history, which is
/// whole up to step `written`, so that no line of it is missing. Without any the run begins from the seed; once all had
/// one, after `saved` updates, it does so only for [`Resume::Step`] 0.
///
/// # Errors
/// A step that one of the stages does not have, or no snapshot in common any more.
pub fn choose(
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
            // No step is common to all, so one of the stages has not this step.
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
    /// The sentence for the user; `addresses` are those of the stages.
    pub fn failure(self, addresses: &[String], folder: &Path) -> Failure {
        const SEED: &str =
            "begin again from the seed with --resume 0, which gives up what the run has learned";
        match self {
            Refusal::NoSuchStep { stage, step, has } => {
                let has: Vec<String> = has.iter().map(u64::to_string).collect();
                let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
                Failure::configuration(format!(
                    "stage {stage} has no snapshot after step {step} (it has: {has}): --resume auto takes the newest common one"
                ))
            }
            Refusal::Lost { stage, saved } => Failure::new(
                Cause::StateGone,
                format!(
                    "stage {stage} at {} has not the snapshot after step {saved}, which all nodes had: bring its state folder back, or {SEED}",
                    addresses[stage]
                ),
            ),
            Refusal::Unwritten { written, first } => Failure::new(
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
    fn a_snapshot_that_all_nodes_had_is_not_given_up_unasked() {
        let chosen = |held: &[&[u64]], written, resume| chosen(held, written, 20, resume);
        let lost = |stage| Err(Refusal::Lost { stage, saved: 20 });
        assert_eq!(chosen(&[&[10, 20], &[], &[20]], 25, Resume::Auto), lost(1), "an empty state folder");
        assert_eq!(chosen(&[&[], &[20]], 0, Resume::Auto), lost(0), "and the history is gone as well");
        let unwritten = Err(Refusal::Unwritten { written: 3, first: 10 });
        assert_eq!(chosen(&[&[10, 20], &[10, 20]], 3, Resume::Auto), unwritten, "a damaged history");
        assert_eq!(chosen(&[&[10, 20], &[10]], 25, Resume::Auto), Ok([10].into()), "an older one is left");
        assert_eq!(chosen(&[&[10, 20], &[]], 3, Resume::Step(0)), Ok([].into()), "asked for");
    }
}
