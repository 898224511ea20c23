//! `trials.jsonl`, the ledger: one line per ended trial, in the order of their ends. Lines never change.
//!
//! Every decision of a sweep follows from these lines, so a sweep that resumes after a kill decides as if nothing
//! had happened. Only the process that has locked the sweep's folder opens the file.

use super::primitives::Subset;
use crate::record::files::{unwritable, write};
use crate::run_error::RunError;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use toml::Value;

/// The end of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The trial trained to its end.
    Done,
    /// The trial was worse than the median of earlier trials.
    Stopped,
    /// The trial's loss was no longer a finite number: a result like any other.
    Diverged,
    /// The trial failed for another reason.
    Failed,
}

impl Status {
    /// The word for the status.
    pub fn word(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Stopped => "stopped",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
        }
    }
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The trial's number, from 0.
    pub trial: usize,
    /// The trial's case, in a sweep with cases.
    #[serde(default)]
    pub case: Option<String>,
    /// The trial's primitives, in a sweep over the matrix of primitives.
    pub subset: Option<Subset>,
    /// The settings in which the trial differs from others.
    pub settings: BTreeMap<String, Value>,
    /// The status of the trial.
    pub status: Status,
    /// Fraction of the test set whose label ranks first, for a completed trial.
    pub test_top1: Option<f64>,
    /// Fraction of the test set whose label ranks among the first five, for a completed trial.
    pub test_top5: Option<f64>,
    /// The final training loss, a mean over the last steps.
    pub loss: Option<f64>,
    /// The angle between W and B of each layer at its last measurement, in degrees, the layer nearest the input first;
    /// `None` where W or B was zero.
    pub angles: IndexMap<String, Option<f64>>,
    /// The training steps that count.
    pub steps: usize,
    /// Training time; not a part of the result.
    pub seconds: Option<f64>,
    /// Training speed; not a part of the result.
    pub images_per_s: Option<f64>,
    /// The reason why the trial failed or diverged.
    pub error: Option<String>,
    /// The exit code of a failed trial.
    pub code: Option<i32>,
    /// The recent loss at each checkpoint of early stopping.
    pub curve: Vec<f64>,
}

/// The ledger's file and its records.
pub struct Ledger {
    file: File,
    path: PathBuf,
    records: BTreeMap<usize, Record>,
}

impl Ledger {
    /// Opens the file, and creates it if necessary. An incomplete last line is removed.
    ///
    /// # Errors
    /// A file that cannot be opened, or that is damaged.
    pub fn open(path: PathBuf) -> Result<Self, RunError> {
        let cannot = |error: std::io::Error| unwritable(&path, &error);
        let mut file = File::options().create(true).read(true).append(true).open(&path).map_err(cannot)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(cannot)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(cannot)?;
        file.seek(SeekFrom::End(0)).map_err(cannot)?;
        let mut records = BTreeMap::new();
        for (number, line) in (1..).zip(text[..whole].lines()) {
            let record: Record =
                serde_json::from_str(line).map_err(|error| damaged(&path, number, &error))?;
            records.insert(record.trial, record);
        }
        Ok(Self { file, path, records })
    }

    /// Adds an ended trial; if the write fails, the file stays as before.
    pub fn append(&mut self, record: &Record) -> Result<(), RunError> {
        let line = serde_json::to_string(record).map_err(RunError::internal)?;
        self.write(&line).map_err(|error| unwritable(&self.path, &error))?;
        // The record is kept as a restart will read it, to the last bit of every number.
        let record: Record = serde_json::from_str(&line).map_err(RunError::internal)?;
        self.records.insert(record.trial, record);
        Ok(())
    }

    /// Takes the records over, each in place of the record that its trial has, and writes the file anew, in the order
    /// of the trials' numbers.
    pub fn put(&mut self, records: impl IntoIterator<Item = Record>) -> Result<(), RunError> {
        self.records.extend(records.into_iter().map(|record| (record.trial, record)));
        let line = |record| serde_json::to_string(record).map(|line| line + "\n").map_err(RunError::internal);
        let text = self.records().map(line).collect::<Result<String, _>>()?;
        write(&self.path, text.as_bytes())?;
        *self = Self::open(std::mem::take(&mut self.path))?;
        Ok(())
    }

    /// Appends a line, whole or not at all: the next line must not follow a torn line.
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let before = self.file.metadata()?.len();
        let written =
            self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_data());
        written.or_else(|error| self.file.set_len(before).and(Err(error)))
    }

    /// All ended trials, in the order of their numbers.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Whether this trial has ended.
    pub fn has(&self, trial: usize) -> bool {
        self.records.contains_key(&trial)
    }

    /// The number of ended trials.
    pub fn len(&self) -> usize {
        self.records.len()
    }
}

fn damaged(path: &Path, line: usize, error: &serde_json::Error) -> RunError {
    let place = path.display();
    RunError::configuration(format!(
        "line {line} of {place} is damaged ({error}): take the line out, and its trial is run again"
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn record(trial: usize, status: Status, test_top1: Option<f64>) -> Record {
        let settings = BTreeMap::from([("optimizer.lr".to_owned(), Value::Float(0.1 / (trial + 1) as f64))]);
        Record {
            trial,
            case: None,
            subset: None,
            settings,
            status,
            test_top1,
            test_top5: test_top1,
            loss: Some(1.0 / 3.0),
            angles: IndexMap::from([("fc1".to_owned(), Some(45.0))]),
            steps: 10,
            seconds: Some(1.5),
            images_per_s: Some(100.0),
            error: None,
            code: None,
            curve: vec![2.0 / 3.0],
        }
    }

    #[test]
    fn every_field_of_a_line_is_documented() {
        let record = Record {
            trial: 0,
            case: Some("a".into()),
            subset: Some(vec![proto::spec::rule::Primitive::Amp].try_into().unwrap()),
            settings: BTreeMap::from([("KEY".to_owned(), Value::Float(0.1))]),
            status: Status::Done,
            test_top1: Some(0.5),
            test_top5: Some(0.5),
            loss: Some(0.5),
            angles: IndexMap::from([("LAYER".to_owned(), Some(45.0))]),
            steps: 1,
            seconds: Some(1.0),
            images_per_s: Some(1.0),
            error: Some("why".into()),
            code: Some(1),
            curve: vec![0.5],
        };
        crate::documented::holds("trials.jsonl", &[serde_json::json!(record)]);
    }

    /// The variable by which a test gives its child process a ledger. The child's files can't grow beyond a few
    /// kilobytes.
    const CRAMPED: &str = "NEUROPIL_TEST_CRAMPED_LEDGER";

    #[test]
    fn a_line_that_does_not_fit_leaves_nothing() {
        if let Some(path) = std::env::var_os(CRAMPED) {
            return fill(path.into());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let test = "sweep::ledger::tests::a_line_that_does_not_fit_leaves_nothing";
        let ended = std::process::Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; ulimit -f 4; exec "$0" --exact "$1""#])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(CRAMPED, &path)
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        let trials: Vec<usize> = Ledger::open(path).unwrap().records().map(|record| record.trial).collect();
        assert_eq!(trials, [0, 2]);
    }

    fn fill(path: PathBuf) {
        let mut ledger = Ledger::open(path).unwrap();
        ledger.append(&record(0, Status::Done, Some(0.5))).unwrap();
        let long = Record { error: Some("x".repeat(10_000)), ..record(1, Status::Failed, None) };
        assert!(ledger.append(&long).unwrap_err().sentence.contains("trials.jsonl"));
        ledger.append(&record(2, Status::Done, Some(0.5))).unwrap();
    }

    #[test]
    fn a_torn_last_line_is_as_if_it_had_never_been_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let mut ledger = Ledger::open(path.clone()).unwrap();
        let first = record(3, Status::Done, Some(0.7));
        ledger.append(&first).unwrap();
        assert_eq!(ledger.records().collect::<Vec<_>>(), [&first]);
        let whole = std::fs::read_to_string(&path).unwrap();
        drop(ledger);
        std::fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();

        let mut ledger = Ledger::open(path.clone()).unwrap();
        assert_eq!(ledger.records().collect::<Vec<_>>(), [&first]);
        ledger.append(&record(1, Status::Failed, None)).unwrap();
        assert!(ledger.has(1) && !ledger.has(0));
        drop(ledger);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&whole) && text.lines().count() == 2, "{text}");

        std::fs::write(&path, format!("{}\n{whole}", &whole[..40])).unwrap();
        let why = Ledger::open(path).map(|_| ()).unwrap_err().sentence;
        assert!(why.contains("line 1 of"), "{why}");
    }
}
