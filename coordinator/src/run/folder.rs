//! A run's folder: what it leaves behind.

mod data_mark;
mod files;
mod identity;

pub use data_mark::DataMark;
pub use files::{read, unwritable, write};
pub use identity::RunIdentity;

use super::evaluation::Evaluation;
use super::events::EventFile;
use super::lines::{PastStep, StepLine};
use crate::config::{self, Config, Environment};
use crate::run_error::RunError;
use files::{append, json, remove};
use identity::differs;
use serde::Serialize;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a run comes to.
pub(super) const SUMMARY: &str = "summary.json";
/// The page that shows it.
const REPORT: &str = "report.html";

/// `runs/NAME`, or the folder that the caller names.
pub struct RunFolder {
    path: PathBuf,
    identity: RunIdentity,
    metrics: File,
    evaluations: File,
    events: EventFile,
    /// Whether the history is this start's: until then the end that an earlier one wrote is true.
    begun: bool,
    /// The folder itself, locked: one process at a time writes a run's history.
    owned: Arc<File>,
}

/// Chooses a run's folder: as named, or the first free `runs/STEM-N`.
pub fn choose(name: Option<&str>, run_dir: Option<&Path>, stem: &str) -> Result<PathBuf, RunError> {
    let runs = Path::new("runs");
    match (name, run_dir) {
        (_, Some(path)) => Ok(path.to_owned()),
        (Some(name), None) if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') => {
            Err(RunError::configuration(format!("'{name}' cannot name a run: --run-dir takes a path")))
        }
        (Some(name), None) => Ok(runs.join(name)),
        (None, None) => {
            let free = (1u64..).map(|n| runs.join(format!("{stem}-{n}"))).find(|path| !path.exists());
            free.ok_or_else(|| RunError::internal("there are no names left for a run"))
        }
    }
}

impl RunFolder {
    /// Makes the folder of a new run, with its resolved configuration, and remembers its data.
    ///
    /// # Errors
    /// A folder that a run lies in already, or that cannot be written.
    pub fn create(path: PathBuf, config: &Config, data: DataMark) -> Result<Self, RunError> {
        let text = config.to_toml().map_err(RunError::configuration)?;
        if path.join("config.toml").exists() {
            let why = format!(
                "there is a run in {} already: choose another --name or --run-dir, or go on with --resume auto",
                path.display()
            );
            return Err(RunError::configuration(why));
        }
        fs::create_dir_all(&path).map_err(|error| unwritable(&path, &error))?;
        let owned = own(&path)?;
        let identity = RunIdentity { data: Some(data), ..RunIdentity::draw()? };
        identity.write(&path)?;
        write(&path.join("config.toml"), text.as_bytes())?;
        Ok(Self { begun: true, ..Self::open(path, identity, owned, 0)? })
    }

    /// Opens the folder of a run that is to go on, under a new incarnation.
    ///
    /// # Errors
    /// A folder without a run, or a configuration or data that would make it another run.
    pub fn reopen(path: PathBuf, config: &Config, data: &DataMark) -> Result<Self, RunError> {
        let file = path.join("config.toml");
        let began = config::load(&file, &[], &Environment::empty()).map_err(RunError::configuration)?;
        if let Some(section) = differs(&began, config) {
            let why = format!(
                "'{section}' is not as in {}: resume a run with its own configuration",
                file.display()
            );
            return Err(RunError::configuration(why));
        }
        let owned = own(&path)?;
        let identity = RunIdentity::read(&path)?;
        if let Some(mark) = &identity.data {
            mark.check(data, began.data.test_limit == config.data.test_limit, config, &path)?;
        }
        let identity = identity.next(&path)?;
        Self::open(path, identity, owned, u64::MAX)
    }

    /// Counts another start of the run.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn start_again(&mut self) -> Result<(), RunError> {
        self.identity = self.identity.clone().next(&self.path)?;
        Ok(())
    }

    /// Remembers, also after a crash of the host, that all nodes have the snapshot after `step`.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn saved(&mut self, step: u64) -> Result<(), RunError> {
        if self.identity.saved != step {
            self.identity.saved = step;
            self.identity.write(&self.path)?;
        }
        Ok(())
    }

    /// Drops the lines of what comes after `step`: it is about to be run again, and with it the evaluation
    /// that follows `step` itself. What an earlier start said of its end goes first: should this one be killed,
    /// nobody takes that for the end of the run.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn rewind(&mut self, step: u64) -> Result<(), RunError> {
        for name in [SUMMARY, REPORT] {
            remove(&self.path.join(name))?;
        }
        self.saved(step)?;
        for (name, limit) in [("metrics.jsonl", step + 1), ("evaluations.jsonl", step)] {
            let text = self.text(name)?;
            let before = |line: &&str| {
                let line: Option<serde_json::Value> = serde_json::from_str(line).ok();
                line.and_then(|line| line["step"].as_u64()).is_some_and(|step| step < limit)
            };
            let kept: String = text.lines().filter(before).map(|line| format!("{line}\n")).collect();
            write(&self.path.join(name), kept.as_bytes())?;
        }
        let (path, identity, owned) = (self.path.clone(), self.identity.clone(), self.owned.clone());
        *self = Self { begun: true, ..Self::open(path, identity, owned, step)? };
        Ok(())
    }

    /// Opens the folder's files to append to them; of the curves, those up to `step` stay.
    fn open(path: PathBuf, identity: RunIdentity, owned: Arc<File>, step: u64) -> Result<Self, RunError> {
        let append = |name: &str| {
            let path = path.join(name);
            File::options().create(true).append(true).open(&path).map_err(|error| unwritable(&path, &error))
        };
        let (metrics, evaluations) = (append("metrics.jsonl")?, append("evaluations.jsonl")?);
        let events = EventFile::begin(&path, step)?;
        Ok(Self { path, identity, metrics, evaluations, events, begun: false, owned })
    }

    /// A file of lines. What a crash of the host left of its end need not be text; such a line counts for nothing.
    fn text(&self, name: &str) -> Result<String, RunError> {
        let path = self.path.join(name);
        let bytes = fs::read(&path).map_err(|error| {
            RunError::internal(format!(
                "cannot read {} ({error}): check its permissions and its disk",
                path.display()
            ))
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last step up to which `metrics.jsonl` is without a gap.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_step(&self) -> Result<u64, RunError> {
        let text = self.text("metrics.jsonl")?;
        let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64();
        Ok((1..)
            .zip(text.lines())
            .take_while(|(due, line)| step(line) == Some(*due))
            .map(|(due, _)| due)
            .last()
            .unwrap_or(0))
    }

    /// The evaluations that `evaluations.jsonl` holds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn evaluations(&self) -> Result<Vec<Evaluation>, RunError> {
        let text = self.text("evaluations.jsonl")?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The training steps that `metrics.jsonl` holds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn steps(&self) -> Result<Vec<PastStep>, RunError> {
        let text = self.text("metrics.jsonl")?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// What its nodes know the run by.
    pub fn identity(&self) -> &RunIdentity {
        &self.identity
    }

    /// Whether this start has made the history its own; one that ended before has nothing to say of the run.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// Placement the run lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one training step to the curves and then to `metrics.jsonl`: what that has, those have.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn step(&mut self, step: &StepLine<'_>) -> Result<(), RunError> {
        self.events.add(step.step, step.points())?;
        append(&mut self.metrics, &self.path.join("metrics.jsonl"), step)
    }

    /// Appends one evaluation to the curves and then to `evaluations.jsonl`.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn evaluation(&mut self, evaluation: &Evaluation) -> Result<(), RunError> {
        self.events.add(evaluation.step, evaluation.points())?;
        append(&mut self.evaluations, &self.path.join("evaluations.jsonl"), evaluation)
    }

    /// Has the history on disk: a run goes on no later than that reaches, also after a crash of the host.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn sync(&self) -> Result<(), RunError> {
        for (name, file) in [("metrics.jsonl", &self.metrics), ("evaluations.jsonl", &self.evaluations)] {
            file.sync_data().map_err(|error| unwritable(&self.path.join(name), &error))?;
        }
        Ok(())
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn summary(&self, summary: &impl Serialize) -> Result<(), RunError> {
        write(&self.path.join(SUMMARY), &json(summary)?)
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn report(&self, page: &str) -> Result<(), RunError> {
        write(&self.path.join(REPORT), page.as_bytes())
    }

    /// Writes another file of the run.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        write(&self.path.join(name), bytes)
    }
}

/// Has the folder for this process until it ends, however it ends.
///
/// # Errors
/// When another process has it, or it cannot be opened.
pub fn own(path: &Path) -> Result<Arc<File>, RunError> {
    let folder = File::open(path).map_err(|error| unwritable(path, &error))?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(RunError::configuration(format!(
            "another coordinator works on the run in {}: wait for its end, or end it first",
            path.display()
        ))),
        // A file system without locks: whoever uses one sees to it himself.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Arc::new(folder)),
    }
}
