//! `coordinator sweep --collect`: the ledger and the table of trials that ran each by itself, from their records.

use super::sources::Sources;
use super::turn::Turn;
use super::{Sweep, SweepOptions, records};
use crate::config::Environment;
use crate::record::SWEEP;
use crate::run::signals;
use crate::run_error::{Cause, RunError};

/// Makes the ledger and the table of all trials that have ended, and prints the table. It may be called again when
/// more trials have ended.
///
/// # Errors
/// A fault of the sweep; [`Cause::Interrupted`] if trials have not ended yet; or failed trials.
pub async fn collect(options: SweepOptions<'_>, environment: &Environment<'_>) -> Result<(), RunError> {
    let sources = Sources::read_independent(options, environment)?;
    let path = sources.path(options.run_dir)?;
    if !path.join(SWEEP).exists() {
        let place = path.display();
        return Err(RunError::configuration(format!(
            "there is no sweep in {place} to collect: give --run-dir the folder in which --trial leaves its runs"
        )));
    }
    let stop = signals::listen(signals::GIVING_UP)?;
    let _turn = tokio::select! {
        turn = Turn::wait(&path) => turn?,
        () = stop.cancelled() => {
            let why = "interrupted before anything was collected: give the same command again";
            return Err(RunError::new(Cause::Interrupted, why));
        }
    };
    let mut sweep = Sweep::open(sources, path, true, environment)?;
    let all = sweep.plan.len();
    let found = (0..all).map(|number| records::read(&sweep.folder.record(number), number));
    let found = found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    sweep.ledger.put(found)?;
    let text = sweep.pages()?;
    sweep.show(&text)?;
    if let Some(first) = (0..all).find(|number| !sweep.ledger.has(*number)) {
        let why = format!(
            "{} of {all} trials have ended, and trial {first} is the first that has not: give --collect again later",
            sweep.ledger.len()
        );
        return Err(RunError::new(Cause::Interrupted, why));
    }
    sweep.verdict()
}
