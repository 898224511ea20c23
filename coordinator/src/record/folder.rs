//! A run's folder: it is created, reopened, taken back to an earlier step, and appended to.

use super::assessment::Assessment;
use super::changes::Changes;
use super::claim::{Claim, Holds, no_run, part};
use super::curves::Curves;
use super::cut::Cut;
use super::data_mark::DataMark;
use super::difference::Difference;
use super::end::End;
use super::evaluation::Evaluation;
use super::files::{remove, write, write_json};
use super::identity::RunIdentity;
use super::lines::{self, Appended};
use super::names::{CONFIG, EVALUATION, EVALUATIONS, METRICS, REPORT, SUMMARY, TIMELINE};
use super::past::Past;
use super::start::{self, Start};
use super::step::Step;
use crate::config::{self, Config, Environment};
use crate::run_error::RunError;
use proto::disk::cannot;
use proto::spec::begin::Begin;
use serde::Serialize;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of a run: `runs/NAME`, or the folder that the caller names.
pub struct RunFolder {
    path: PathBuf,
    identity: RunIdentity,
    metrics: Appended,
    evaluations: Appended,
    curves: Curves,
    /// Whether this start has taken over the history. Until then the end that an earlier start wrote is still true.
    begun: bool,
    /// Whether the coordinator itself began this start, after a failure.
    by_itself: bool,
    /// The step that was recorded last, with which a short minibatch is drawn.
    last: Option<Step>,
    /// The configuration with the keys that have changed, until this start takes over the history.
    changed: Option<String>,
    /// The folder itself, locked: one process at a time writes a run's history.
    owned: Arc<File>,
}

impl RunFolder {
    /// Begins a new run in a folder, with its resolved configuration, the mark of its data, and what it begins from.
    ///
    /// # Errors
    /// A folder that already holds a run, a sweep or a part of a run, or that cannot be written.
    pub fn create(
        claim: Claim,
        config: &Config,
        data: DataMark,
        begin: Option<Begin>,
    ) -> Result<Self, RunError> {
        claim.check_free()?;
        let text = config.to_toml().map_err(RunError::configuration)?;
        let Claim { path, owned, .. } = claim;
        let identity = RunIdentity { data: Some(data), begin, ..RunIdentity::draw()? };
        identity.write(&path)?;
        write(&path.join(CONFIG), text.as_bytes())?;
        Ok(Self { begun: true, ..Self::open(path, identity, owned, 0)? })
    }

    /// Opens the folder of a run that is resumed, under a new incarnation. The run goes on after the step `after`, or
    /// else no later than its history ends; an epoch has `per_epoch` minibatches. Also returns what has changed since the
    /// start before.
    ///
    /// # Errors
    /// A folder without a run, or a configuration or data that would make it another run.
    pub fn reopen(
        claim: Claim,
        config: &Config,
        data: &DataMark,
        per_epoch: u64,
        after: Option<u64>,
    ) -> Result<(Self, Changes), RunError> {
        let Claim { path, holds, owned } = claim;
        match holds {
            Holds::Run => {}
            Holds::Part(file) => return Err(RunError::configuration(part(&path, file))),
            Holds::Nothing | Holds::Sweep => return Err(no_run(&path)),
        }
        let file = path.join(CONFIG);
        let began = began(&path)?;
        if let Some(key) = Difference::of_run(&began, config).map_err(RunError::configuration)? {
            return Err(RunError::configuration(key.refused(&file, &path)));
        }
        let done = after.map_or_else(|| written(&path), Ok)?;
        let end = End::moved(&began, config, per_epoch, done, &file)?;
        let identity = RunIdentity::read(&path, "choose another --run-dir")?;
        if let Some(mark) = &identity.data {
            mark.check(data, began.data.test_limit == config.data.test_limit, config, &path)?;
        }
        let changes = Changes::of(began, config, end).map_err(RunError::configuration)?;
        let identity = identity.next(&path)?;
        let opened = Self::open(path, identity, owned, u64::MAX)?;
        Ok((Self { changed: changes.config.clone(), ..opened }, changes))
    }

    /// Opens the folder's files for appending; the curves keep their points up to `step`.
    fn open(path: PathBuf, identity: RunIdentity, owned: Arc<File>, step: u64) -> Result<Self, RunError> {
        let metrics = Appended::open(path.join(METRICS))?;
        let evaluations = Appended::open(path.join(EVALUATIONS))?;
        let curves = Curves::begin(&path, step)?;
        let (begun, by_itself, last, changed) = (false, false, None, None);
        Ok(Self { path, identity, metrics, evaluations, curves, begun, by_itself, last, changed, owned })
    }

    /// Counts another start of the run, which the coordinator begins by itself.
    pub fn start_again(&mut self) -> Result<(), RunError> {
        self.identity = self.identity.clone().next(&self.path)?;
        self.by_itself = true;
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
    /// `step` itself. The newest evaluation by class is of a step that may run again, so it goes too, and so does the
    /// timeline, since the network may be cut otherwise from now on. The summary that
    /// an earlier start wrote is removed first: if this start is killed, readers must not take the old summary for the
    /// end of the run. The run goes on as `past` says.
    pub fn rewind(&mut self, step: u64, past: Past) -> Result<(), RunError> {
        self.keep_changes()?;
        for name in [SUMMARY, REPORT, EVALUATION, TIMELINE] {
            remove(&self.path.join(name))?;
        }
        let start = Start::now(self.identity.incarnation, self.by_itself, step, self.last_step()?);
        start::add(&mut self.identity.starts, start);
        (self.identity.saved, self.identity.past) = (step, past);
        self.identity.write(&self.path)?;
        for (name, limit) in [(METRICS, step + 1), (EVALUATIONS, step)] {
            let text = self.text(name)?;
            let before = |line: &&[u8]| lines::step(line).is_some_and(|step| step < limit);
            let kept = lines::split(&text).filter(before).flat_map(|line| [line, b"\n"]);
            write(&self.path.join(name), &kept.collect::<Vec<_>>().concat())?;
        }
        let (path, identity, owned) = (self.path.clone(), self.identity.clone(), self.owned.clone());
        let last = self.steps()?.pop();
        *self = Self { begun: true, last, ..Self::open(path, identity, owned, step)? };
        Ok(())
    }

    /// Writes the keys that have changed into `config.toml`.
    fn keep_changes(&mut self) -> Result<(), RunError> {
        match self.changed.take() {
            Some(config) => write(&self.path.join(CONFIG), config.as_bytes()),
            None => Ok(()),
        }
    }

    /// Remembers how the network was cut before, if a release that began the run did not.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn cut_before(&mut self, cut: impl FnOnce() -> Result<Cut, RunError>) -> Result<(), RunError> {
        if !self.identity.past.cuts.is_empty() {
            return Ok(());
        }
        self.identity.past.cuts.push((0, cut()?));
        self.identity.write(&self.path)
    }

    /// Records that the nodes' states are of another cut now, so that no reader of the run takes the former.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn recut(&mut self) -> Result<(), RunError> {
        self.keep_changes()
    }

    fn text(&self, name: &str) -> Result<Vec<u8>, RunError> {
        text(&self.path.join(name))
    }

    /// The last step up to which `metrics.jsonl` is without a gap.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn last_step(&self) -> Result<u64, RunError> {
        written(&self.path)
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
        self.curves.step(self.last.as_ref(), step)?;
        self.last = Some(step.clone());
        self.metrics.add(step)
    }

    /// Appends one evaluation to the curves and then to `evaluations.jsonl`, and keeps it by class in `evaluation.json`.
    pub fn evaluation(&mut self, evaluation: &Evaluation, by_class: &Assessment) -> Result<(), RunError> {
        self.curves.evaluation(evaluation)?;
        self.evaluations.add(evaluation)?;
        self.write_json(EVALUATION, by_class)
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

/// The configuration with which the run in `folder` began.
///
/// # Errors
/// A configuration that cannot be read.
pub fn began(folder: &Path) -> Result<Config, RunError> {
    config::load(&folder.join(CONFIG), &[], &Environment::empty()).map_err(RunError::configuration)
}

/// The last step up to which the history of the run in `folder` is without a gap.
fn written(folder: &Path) -> Result<u64, RunError> {
    let text = text(&folder.join(METRICS))?;
    let due = (1..).zip(lines::split(&text)).take_while(|(due, line)| lines::step(line) == Some(*due));
    Ok(due.last().map_or(0, |(due, _)| due))
}

/// The bytes of a file of records; a start that died early has not made it.
fn text(path: &Path) -> Result<Vec<u8>, RunError> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| {
            RunError::internal(cannot("cannot read", path, &error, "choose another --run-dir"))
        }),
    }
}
