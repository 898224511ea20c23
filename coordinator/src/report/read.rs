//! The reader of a run's folder, whole or as a killed run left it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use proto::spec::begin::Begin;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ReadError;
use super::run::Run;
use crate::record::{
    EVALUATION, EVALUATIONS, Evaluation, IDENTITY, METRICS, SUMMARY, Start, Step, TIMELINE, lines,
};

impl Run {
    /// Reads a run's folder. `evaluations.jsonl`, `evaluation.json`, `timeline.json` and `run.json` may be absent, the other three files
    /// may not.
    ///
    /// A line that is no JSON was torn when the run was killed, and is skipped: the last line, or a line behind
    /// which a resumed run has written. Steps that a resumed run repeated count once, with the last record.
    ///
    /// # Errors
    /// One sentence that names the file: it is missing or cannot be read, or one of its records has another form.
    pub fn read(dir: &Path) -> Result<Run, ReadError> {
        let named = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let name = named.file_name().unwrap_or(named.as_os_str()).to_string_lossy().into_owned();
        let config = bytes(&dir.join("config.toml"))?;
        let evaluations = match records(&dir.join(EVALUATIONS), |e: &Evaluation| e.step) {
            Err(ReadError::Missing { .. }) => Vec::new(),
            read => read?,
        };
        let metrics = records(&dir.join(METRICS), |s: &Step| s.step)?;
        let summary = whole(dir.join(SUMMARY))?;
        let assessment = optional(dir.join(EVALUATION))?;
        let timeline = optional(dir.join(TIMELINE))?;
        let Identity { starts, begin } = match whole(dir.join(IDENTITY)) {
            Err(ReadError::Missing { .. }) => Identity::default(),
            read => read?,
        };
        let config_toml = String::from_utf8_lossy(&config).into_owned();
        Ok(Run { name, config_toml, metrics, evaluations, assessment, starts, begin, timeline, summary })
    }
}

/// The part of `run.json` that a page shows.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Identity {
    starts: Vec<Start>,
    begin: Option<Begin>,
}

fn bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    fs::read(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => ReadError::Missing { path: path.to_owned() },
        _ => ReadError::Unreadable { path: path.to_owned(), cause },
    })
}

/// The record that is a whole file.
fn whole<T: DeserializeOwned>(path: PathBuf) -> Result<T, ReadError> {
    let bytes = bytes(&path)?;
    serde_json::from_slice(&bytes).map_err(|cause| ReadError::Malformed { path, record: 1, cause })
}

/// The record that is a whole file, or nothing where the file is missing.
fn optional<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, ReadError> {
    match whole(path) {
        Err(ReadError::Missing { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// The records of a file of lines, in ascending order of their step.
fn records<T: DeserializeOwned>(path: &Path, step: impl Fn(&T) -> u64) -> Result<Vec<T>, ReadError> {
    let mut records: Vec<T> = Vec::new();
    for (record, line) in (1..).zip(lines::split(&bytes(path)?)) {
        let parsed = lines::parse(line).map_err(|cause| ReadError::Malformed {
            path: path.to_owned(),
            record,
            cause,
        })?;
        let Some(parsed) = parsed else { continue };
        records.truncate(records.partition_point(|earlier| step(earlier) < step(&parsed)));
        records.push(parsed);
    }
    Ok(records)
}
