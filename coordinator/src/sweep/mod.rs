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

mod alone;
mod collect;
mod common;
mod ended;
mod folder;
mod hparams;
mod ledger;
mod manifests;
mod median;
mod names;
mod primitives;
mod range;
mod records;
mod results;
mod score;
mod sources;
mod space;
mod spec;
mod table;
mod tail;
mod tpe;
mod trial;
mod turn;

pub use alone::trial;
pub use collect::collect;
pub use ended::{EndedTrial, EndedTrials, ended, is_sweep};
pub use manifests::manifests;

use crate::config::Environment;
use crate::console::answer;
use crate::run::signals;
use crate::run_error::{Cause, RunError};
use folder::SweepFolder;
use ledger::{Ledger, Record, Status};
use sources::Sources;
use space::{Plan, Settings};
use spec::Spec;
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trial::{Restart, Trial};

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
    let stop = signals::listen(signals::SAVING)?;
    let sources = Sources::read(options, environment)?;
    let doubts = sources.doubts(environment);
    let path = sources.path(options.run_dir)?;
    let mut sweep = Sweep::open(sources, path, options.resume, environment)?;
    doubts.iter().for_each(|doubt| tracing::warn!("{doubt}"));
    sweep.run(&stop).await?;
    sweep.finish()
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
    /// Begins the sweep in the folder at `path`, or opens it to `resume`.
    fn open(
        sources: Sources,
        path: PathBuf,
        resume: bool,
        environment: &Environment<'_>,
    ) -> Result<Self, RunError> {
        let Sources { spec, plan, base, common } = sources;
        let here = common::data_path(&spec, &plan, &base, environment);
        let (folder, ledger, began) = SweepFolder::open(path, &spec, &base, here.as_deref(), resume)?;
        // A path that is set now comes before the one that the sweep began with.
        let data = if spec.set.contains_key(common::DATA_PATH) { here } else { began.or(here) };
        hparams::begin(folder.path(), &spec.name, &plan)?;
        Ok(Self { spec, plan, common, data, folder, ledger })
    }

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
            restart: Restart::BY_SWEEP,
        }
    }

    /// Adds an ended trial to the ledger, and reports it.
    fn note(&mut self, record: &Record) -> Result<(), RunError> {
        self.ledger.append(record)?;
        hparams::end(&self.folder.trial(record.trial), record)?;
        let best = self.spec.objective.best(self.ledger.records());
        let best = best.map_or_else(String::new, |best| {
            format!("; best so far: trial {}, {}", best.trial, self.spec.objective.show(best))
        });
        answer(format_args!(
            "{}; {} of {} ended{best}\n",
            table::ended(self.spec.objective, record),
            self.ledger.len(),
            self.plan.len()
        ))
    }

    /// Prints and writes the table, also after an early end.
    fn finish(&self) -> Result<(), RunError> {
        let (ended, all, folder) = (self.ledger.len(), self.plan.len(), self.folder.path().display());
        let text = self.pages()?;
        if ended < all {
            let why = format!(
                "interrupted after {ended} of {all} trials (their table so far is in the sweep folder {folder}): --resume goes on from there"
            );
            return Err(RunError::new(Cause::Interrupted, why));
        }
        self.show(&text)?;
        self.verdict()
    }

    /// Writes the pages of the trials that have ended, and returns the table.
    fn pages(&self) -> Result<String, RunError> {
        for record in self.ledger.records() {
            hparams::fill(&self.folder.trial(record.trial), record)?;
        }
        let text = table::table(&self.spec.name, self.spec.objective, self.ledger.records());
        self.folder.write("table.md", &text)?;
        if let Some(text) = results::results(&self.spec, &self.common, self.ledger.records()) {
            self.folder.write("results.md", &text)?;
        }
        Ok(text)
    }

    fn show(&self, table: &str) -> Result<(), RunError> {
        answer(format_args!("\n{table}\nsweep folder: {}\n", self.folder.path().display()))
    }

    /// The failure of a sweep of which trials failed.
    fn verdict(&self) -> Result<(), RunError> {
        let failed: Vec<&Record> =
            self.ledger.records().filter(|record| record.status == Status::Failed).collect();
        let Some(first) = failed.first() else { return Ok(()) };
        let why = format!(
            "{} of {} trials failed; the first is trial {}: {}",
            failed.len(),
            self.plan.len(),
            first.trial,
            first.error.as_deref().unwrap_or_default()
        );
        Err(RunError::new(Cause::of_code(first.code), why))
    }
}
