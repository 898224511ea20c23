//! A run's folder: it is created, reopened, taken back to an earlier step, and appended to.

use super::curves::Curves;
use super::data_mark::DataMark;
use super::evaluation::Evaluation;
use super::files::{lock, remove, unwritable, write, write_json};
use super::identity::{RunIdentity, differs};
use super::lines::{self, Appended};
use super::past::Past;
use super::step::Step;
use crate::config::{self, Config, Environment};
use crate::run_error::RunError;
use serde::Serialize;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of the training steps.
pub const METRICS: &str = "metrics.jsonl";
/// The file of the evaluations.
pub const EVALUATIONS: &str = "evaluations.jsonl";
/// The file of the run's summary.
pub const SUMMARY: &str = "summary.json";
/// The file of the report page.
pub const REPORT: &str = "report.html";

/// The folder of a run: `runs/NAME`, or the folder that the caller names.
pub struct RunFolder {
    path: PathBuf,
    identity: RunIdentity,
    metrics: Appended,
    evaluations: Appended,
    curves: Curves,
    /// Whether this start has taken over the history. Until then the end that an earlier start wrote is still true.
    begun: bool,
    /// The folder itself, locked: one process at a time writes a run's history.
    owned: Arc<File>,
}

/// Chooses a run's folder: the named one, or the first free `runs/STEM-N`.
///
/// # Errors
/// A name that is a path.
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

/// Locks the folder for this process until the process ends, however it ends.
///
/// # Errors
/// A folder that another process has locked, or that cannot be opened.
pub fn own(path: &Path) -> Result<Arc<File>, RunError> {
    let folder = File::open(path).map_err(|error| unwritable(path, &error))?;
    match lock(&folder) {
        Ok(false) => Err(RunError::configuration(format!(
            "another coordinator works on the run in {}: wait for its end, or end it first",
            path.display()
        ))),
        // On a file system without locks the user must make sure that no two processes use the folder.
        Ok(true) | Err(_) => Ok(Arc::new(folder)),
    }
}

impl RunFolder {
    /// Creates the folder of a new run, with its resolved configuration and the mark of its data.
    ///
    /// # Errors
    /// A folder that already holds a run, or that cannot be written.
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

    /// Opens the folder of a run that is resumed, under a new incarnation.
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

    /// Opens the folder's files for appending; the curves keep their points up to `step`.
    fn open(path: PathBuf, identity: RunIdentity, owned: Arc<File>, step: u64) -> Result<Self, RunError> {
        let metrics = Appended::open(path.join(METRICS))?;
        let evaluations = Appended::open(path.join(EVALUATIONS))?;
        let curves = Curves::begin(&path, step)?;
        Ok(Self { path, identity, metrics, evaluations, curves, begun: false, owned })
    }

    /// Counts another start of the run.
    pub fn start_again(&mut self) -> Result<(), RunError> {
        self.identity = self.identity.clone().next(&self.path)?;
        Ok(())
    }

    /// Records that all nodes have the snapshot after `step`; the record survives a crash of the host.
    pub fn saved(&mut self, step: u64) -> Result<(), RunError> {
        if self.identity.saved != step {
            self.identity.saved = step;
            self.identity.write(&self.path)?;
        }
        Ok(())
    }

    /// Drops the lines of steps after `step`, which will run again, and the line of the evaluation that follows
    /// `step` itself. The summary that an earlier start wrote is removed first: if this start is killed, readers
    /// must not take the old summary for the end of the run. The run goes on as `past` says.
    pub fn rewind(&mut self, step: u64, past: Past) -> Result<(), RunError> {
        for name in [SUMMARY, REPORT] {
            remove(&self.path.join(name))?;
        }
        (self.identity.saved, self.identity.past) = (step, past);
        self.identity.write(&self.path)?;
        for (name, limit) in [(METRICS, step + 1), (EVALUATIONS, step)] {
            let text = self.text(name)?;
            let before = |line: &&[u8]| lines::step(line).is_some_and(|step| step < limit);
            let kept = lines::split(&text).filter(before).flat_map(|line| [line, b"\n"]);
            write(&self.path.join(name), &kept.collect::<Vec<_>>().concat())?;
        }
        let (path, identity, owned) = (self.path.clone(), self.identity.clone(), self.owned.clone());
        *self = Self { begun: true, ..Self::open(path, identity, owned, step)? };
        Ok(())
    }

    fn text(&self, name: &str) -> Result<Vec<u8>, RunError> {
        let path = self.path.join(name);
        fs::read(&path).map_err(|error| {
            RunError::internal(format!(
                "cannot read {} ({error}): check its permissions and its disk",
                path.display()
            ))
        })
    }

    /// The last step up to which `metrics.jsonl` is without a gap.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn last_step(&self) -> Result<u64, RunError> {
        let text = self.text(METRICS)?;
        let due = (1..).zip(lines::split(&text)).take_while(|(due, line)| lines::step(line) == Some(*due));
        Ok(due.last().map_or(0, |(due, _)| due))
    }

    /// The training steps so far.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn steps(&self) -> Result<Vec<Step>, RunError> {
        Ok(lines::records(&self.text(METRICS)?).collect())
    }

    /// The evaluations so far.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn evaluations(&self) -> Result<Vec<Evaluation>, RunError> {
        Ok(lines::records(&self.text(EVALUATIONS)?).collect())
    }

    /// The identity by which nodes know the run.
    pub fn identity(&self) -> &RunIdentity {
        &self.identity
    }

    /// Whether this start has taken over the history. A start that ended earlier knows nothing new about the run.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one training step to the curves and then to `metrics.jsonl`, so that every line there has its
    /// points.
    pub fn step(&mut self, step: &Step) -> Result<(), RunError> {
        self.curves.step(step)?;
        self.metrics.add(step)
    }

    /// Appends one evaluation to the curves and then to `evaluations.jsonl`.
    pub fn evaluation(&mut self, evaluation: &Evaluation) -> Result<(), RunError> {
        self.curves.evaluation(evaluation)?;
        self.evaluations.add(evaluation)
    }

    /// Waits until the history is on the disk. After a crash of the host a run resumes no later than its history
    /// ends.
    pub fn sync(&self) -> Result<(), RunError> {
        self.metrics.sync()?;
        self.evaluations.sync()
    }

    /// Writes a JSON file of the run.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        write_json(&self.path.join(name), value)
    }

    /// Writes another file of the run.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        write(&self.path.join(name), bytes)
    }
}
