//! `coordinator sweep --trial K`: one trial of a sweep, in a process that runs no other trial.
//!
//! Many such processes, on as many hosts, share the sweep's folder. Each has the folder to itself for the moment in
//! which the sweep begins there, or is compared with the sweep that began there. After that a process writes the files
//! of its own trial only, and the trial's record is the last of them. `--collect` makes the ledger and the table from
//! the records.

use super::ledger::Status;
use super::sources::Sources;
use super::trial::Restart;
use super::turn::Turn;
use super::{Sweep, SweepOptions, hparams, records, table};
use crate::config::Environment;
use crate::console::{answer, remark};
use crate::run::signals;
use crate::run_error::{Cause, RunError};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// A process that begins a trial again waits so long for the end of an earlier process of the trial.
const RESTART: Restart = Restart { deadline: Duration::from_secs(10), command: "the same command" };
/// The interval between looks at the trial's output.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the trial `number` of the sweep, or takes it up again where an earlier process left it. A trial that has ended
/// stays as it is, unless it failed: a failed trial is tried again.
///
/// # Errors
/// A fault of the sweep; the trial's own failure; or [`Cause::Interrupted`] if the trial can be taken up again.
pub async fn trial(
    options: SweepOptions<'_>,
    number: usize,
    environment: &Environment<'_>,
) -> Result<(), RunError> {
    let stop = signals::listen(signals::SAVING)?;
    let sources = Sources::read_independent(options, environment)?;
    let (all, objective) = (sources.plan.len(), sources.spec.objective);
    if number >= all {
        let (file, last) = (options.config.display(), all - 1);
        let why = format!("there is no trial {number} in {file}: its trials are 0 to {last}");
        return Err(RunError::configuration(why));
    }
    let path = sources.path(options.run_dir)?;
    let turn = tokio::select! {
        turn = Turn::wait(&path) => turn?,
        () = stop.cancelled() => return Err(interrupted(number)),
    };
    let sweep = Sweep::open(sources, path, true, environment)?;
    let (mut trial, file) = (sweep.trial(number), sweep.folder.record(number));
    trial.restart = RESTART;
    // From here on, other processes may have the folder.
    drop((sweep, turn));
    if let Some(ended) = records::read(&file, number)?.filter(|record| record.status != Status::Failed) {
        return answer(format_args!("{}, in an earlier start\n", table::ended(objective, &ended)));
    }
    remark(format_args!(
        "trial {number}: run folder {}, log {}\n",
        trial.run_dir.display(),
        trial.log.display()
    ));
    let mut output = Output::of(&trial.log);
    let ran = tokio::select! {
        ran = trial.run(&stop) => ran,
        never = output.follow() => match never {},
    };
    output.show();
    let Some(record) = ran? else { return Err(interrupted(number)) };
    records::write(&file, &record)?;
    hparams::end(&trial.run_dir, &record)?;
    answer(format_args!("{}\n", table::ended(objective, &record)))?;
    if record.status == Status::Failed {
        let why = format!("trial {number} failed: {}", record.error.unwrap_or_default());
        return Err(RunError::new(Cause::of_code(record.code), why));
    }
    Ok(())
}

fn interrupted(number: usize) -> RunError {
    let why = format!("trial {number} was interrupted: the same command goes on from its last snapshot");
    RunError::new(Cause::Interrupted, why)
}

/// The output of a trial, which goes into its log: what is new there is shown on stderr.
struct Output<'a> {
    log: &'a Path,
    shown: u64,
}

impl<'a> Output<'a> {
    /// The output from now on; the log may hold that of earlier starts.
    fn of(log: &'a Path) -> Self {
        Self { log, shown: log.metadata().map_or(0, |log| log.len()) }
    }

    async fn follow(&mut self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.show();
        }
    }

    /// Shows what is new. A log that cannot be read now is read the next time.
    fn show(&mut self) {
        let copied = File::open(self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(self.shown))?;
            io::copy(&mut log, &mut io::stderr())
        });
        self.shown += copied.unwrap_or(0);
    }
}
