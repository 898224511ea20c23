//! `coordinator sweep`: many runs, each with other settings, to find the best.
//!
//! ```text
//! sweep.toml ─spec─▶ space (which trials) ─propose─▶ settings ─▶ trial: coordinator train --local
//!                       ▲  tpe, median                              │
//!                       └──────────── ledger (trials.jsonl) ◀───────┘ ─▶ table.md
//! ```
//!
//! The choice of trials, early stopping and the table are pure functions of the sweep and of the ledger. A trial
//! looks only at trials that have certainly ended when it begins, so nothing depends on the duration of a trial,
//! nor on the time at which a sweep was killed.

mod common;
mod folder;
mod ledger;
mod median;
mod names;
mod primitives;
mod range;
mod results;
mod score;
mod space;
mod spec;
mod table;
mod tail;
mod tpe;
mod trial;

use crate::config::{self, Environment};
use crate::console::answer;
use crate::record::named;
use crate::run::signals;
use crate::run_error::{Cause, RunError};
use folder::SweepFolder;
use ledger::{Ledger, Record, Status};
use proto::disk::cannot;
use space::{Plan, Settings};
use spec::Spec;
use std::path::Path;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trial::Trial;

/// The options of a sweep beyond its file.
#[derive(Clone, Copy, Debug)]
pub struct SweepOptions<'a> {
    /// The path of the sweep's file.
    pub config: &'a Path,
    /// The sweep's folder; `None` for `runs/NAME`.
    pub run_dir: Option<&'a Path>,
    /// The number of trials at once, which overrides the file.
    pub parallel: Option<usize>,
    /// The cores that the trials share, which override the file.
    pub cores: Option<usize>,
    /// `key=value`s, which override the file's `[set]`.
    pub set: &'a [String],
    /// Whether to resume the sweep in the folder.
    pub resume: bool,
}

/// Runs all trials that have not ended yet, and prints the table.
///
/// # Errors
/// A fault of the sweep; [`Cause::Interrupted`] if the sweep can be resumed; or failed trials, after all trials
/// have ended.
pub async fn sweep(options: SweepOptions<'_>, environment: &Environment<'_>) -> Result<(), RunError> {
    let stop = signals::listen()?;
    let spec = load(options)?;
    let plan = Plan::new(&spec).map_err(RunError::configuration)?;
    let base = config::read_file(&spec.base).map_err(|error| {
        let doing = "cannot read the configuration from which the trials start,";
        RunError::configuration(cannot(doing, &spec.base, &error, "set 'base' to another file"))
    })?;
    let common = common::settings(&spec, &plan, &base, environment)?;
    let path = options.run_dir.map_or_else(|| named(&spec.name), |path| Ok(path.to_owned()))?;
    let here = common::data_path(&spec, &plan, &base, environment);
    let (folder, ledger, began) = SweepFolder::open(path, &spec, &base, here.as_deref(), options.resume)?;
    // A path that is set now comes before the one that the sweep began with.
    let data = if spec.set.contains_key(common::DATA_PATH) { here } else { began.or(here) };
    common::doubts(&spec, &plan, &base, environment).iter().for_each(|doubt| tracing::warn!("{doubt}"));
    let mut sweep = Sweep { spec, plan, common, data, folder, ledger };
    sweep.run(&stop).await?;
    sweep.finish()
}

fn load(options: SweepOptions<'_>) -> Result<Spec, RunError> {
    let mut spec = Spec::load(options.config).map_err(RunError::configuration)?;
    spec.parallel = options.parallel.unwrap_or(spec.parallel);
    spec.cores = options.cores.or(spec.cores);
    spec.set.extend(config::assignments(options.set).map_err(RunError::configuration)?);
    let file = options.config.display().to_string();
    spec.check(&file).map_err(RunError::configuration)?;
    Ok(spec)
}

/// A sweep under way.
struct Sweep {
    spec: Spec,
    plan: Plan,
    common: Settings,
    /// The folder of the data, unless trials choose it themselves.
    data: Option<String>,
    folder: SweepFolder,
    ledger: Ledger,
}

impl Sweep {
    /// Runs trials, several at once, until all have ended or `stop` is cancelled.
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        let mut running = JoinSet::new();
        let (mut next, mut result) = (0, Ok(()));
        let (ended, all, folder) = (self.ledger.len(), self.plan.len(), self.folder.path().display());
        answer(format_args!("{all} trials, {ended} ended; sweep folder {folder}\n"))?;
        loop {
            while running.len() < self.spec.parallel && !stop.is_cancelled() {
                let Some(number) = self.startable(next) else { break };
                next = number + 1;
                let (trial, stop) = (self.trial(number), stop.clone());
                running.spawn(async move { trial.run(&stop).await });
            }
            let Some(ended) = running.join_next().await else { return result };
            let ended = ended.map_err(RunError::internal).and_then(|ended| ended);
            match ended.and_then(|record| record.map(|record| self.note(&record)).transpose()) {
                Ok(Some(())) => {}
                Ok(None) => stop.cancel(),
                // The other trials end in order first.
                Err(failure) => {
                    stop.cancel();
                    result = result.and(Err(failure));
                }
            }
        }
    }

    /// The next trial from `next` on that has not ended, if it may start now.
    fn startable(&self, next: usize) -> Option<usize> {
        let number = (next..self.plan.len()).find(|number| !self.ledger.has(*number))?;
        let known = (0..number).take_while(|before| before + self.spec.parallel <= number);
        let may = !self.spec.looks_back() || { known }.all(|before| self.ledger.has(before));
        may.then_some(number)
    }

    fn trial(&self, number: usize) -> Trial {
        let known: Vec<&Record> = self.plan.known(number, self.ledger.records()).collect();
        let stop = self.spec.stopping().map(|stop| (stop.clone(), median::curves(&known)));
        Trial {
            number,
            case: self.plan.case(number).cloned(),
            subset: self.plan.subset(number).cloned(),
            settings: self.plan.propose(number, &known),
            common: self.common.clone(),
            data: self.data.clone(),
            base: self.folder.base(),
            run_dir: self.folder.trial(number),
            log: self.folder.log(number),
            stop,
        }
    }

    /// Adds an ended trial to the ledger, and reports it.
    fn note(&mut self, record: &Record) -> Result<(), RunError> {
        self.ledger.append(record)?;
        let result = match (record.status, &record.error) {
            (Status::Done, _) => self.spec.objective.show(record),
            (Status::Stopped, _) => format!("after step {}, above the median", record.steps),
            (_, error) => error.clone().unwrap_or_default(),
        };
        let best = self.spec.objective.best(self.ledger.records());
        let best = best.map_or_else(String::new, |best| {
            format!("; best so far: trial {}, {}", best.trial, self.spec.objective.show(best))
        });
        let what = record.case.as_ref().map_or_else(String::new, |case| format!("{case}: "));
        answer(format_args!(
            "trial {} ({what}{}) {}: {result}; {} of {} ended{best}\n",
            record.trial,
            table::tried(record),
            record.status.word(),
            self.ledger.len(),
            self.plan.len()
        ))
    }

    /// Prints and writes the table, also after an early end.
    fn finish(&self) -> Result<(), RunError> {
        let (ended, all, folder) = (self.ledger.len(), self.plan.len(), self.folder.path().display());
        let text = table::table(&self.spec.name, self.spec.objective, self.ledger.records());
        self.folder.write("table.md", &text)?;
        if let Some(text) = results::results(&self.spec, &self.common, self.ledger.records()) {
            self.folder.write("results.md", &text)?;
        }
        if ended < all {
            let why = format!(
                "interrupted after {ended} of {all} trials (their table so far is in the sweep folder {folder}): --resume goes on from there"
            );
            return Err(RunError::new(Cause::Interrupted, why));
        }
        answer(format_args!("\n{text}\nsweep folder: {folder}\n"))?;
        let failed: Vec<&Record> =
            self.ledger.records().filter(|record| record.status == Status::Failed).collect();
        let Some(first) = failed.first() else { return Ok(()) };
        let why = format!(
            "{} of {all} trials failed; the first is trial {}: {}",
            failed.len(),
            first.trial,
            first.error.as_deref().unwrap_or_default()
        );
        Err(RunError::new(Cause::of_code(first.code), why))
    }
}
