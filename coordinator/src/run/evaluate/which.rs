//! The choice of a run's state.

use super::ELSEWHERE;
use crate::pipeline::Schedule;
use crate::record::{RunIdentity, SUMMARY, Summary, files};
use crate::run_error::RunError;
use std::path::Path;
use std::str::FromStr;

/// The choice of a run's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The final state.
    Last,
    /// The state with the best test accuracy.
    Best,
    /// The state after this many updates.
    Step(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Which::Last),
            "best" => Ok(Which::Best),
            step => step
                .parse()
                .map(Which::Step)
                .map_err(|_| format!("'{step}' is no step: a number, last or best is")),
        }
    }
}

impl Which {
    /// The updates of the chosen state of the run in `run_dir`. The last and the best state are known only for a
    /// run that has ended.
    pub(in crate::run) fn of(self, run_dir: &Path) -> Result<u64, RunError> {
        let word = match self {
            Which::Step(step) => return Ok(step),
            Which::Last => "last",
            Which::Best => "best",
        };
        if !run_dir.join(SUMMARY).exists() {
            let dir = run_dir.display();
            return Err(RunError::configuration(format!(
                "the run in {dir} has not ended, so it has no {word} state yet: go on with coordinator train --config {dir}/config.toml --run-dir {dir} --resume auto (and --local or --nodes), or give --step a number"
            )));
        }
        let summary: Summary = files::read(run_dir, SUMMARY, ELSEWHERE)?;
        let (step, why) = match self {
            Which::Best => (
                summary.best_step,
                "the run kept no best snapshot: train with snapshot.best = true, or give --step a number",
            ),
            Which::Last | Which::Step(_) => (
                last_saved(run_dir, &summary)?,
                "the run's summary.json names no last step: give --step a number",
            ),
        };
        step.ok_or_else(|| RunError::configuration(why))
    }
}

/// The updates of the last state of the run in `run_dir`. An asynchronous run that ended between two drains saved only an
/// earlier state.
fn last_saved(run_dir: &Path, summary: &Summary) -> Result<Option<u64>, RunError> {
    let asynchronous = Schedule::Asynchronous.to_string();
    if summary.schedule.as_ref() != Some(&asynchronous) {
        return Ok(summary.steps);
    }
    match RunIdentity::read(run_dir, ELSEWHERE)?.saved {
        0 => Err(RunError::configuration(format!(
            "the run in {} ended before its first drain, so no state of it was saved: go on with --resume auto",
            run_dir.display()
        ))),
        saved => Ok(Some(saved)),
    }
}
