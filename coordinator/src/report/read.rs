//! Reading a run's folder, whole or as a killed run left it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::ReadError;
use super::run::{Evaluation, Run, Step};

impl Run {
    /// Reads a run's folder. `evaluations.jsonl` may be absent, the other three files may not.
    ///
    /// A line that is no JSON was torn when the run was killed, and is skipped: the last one, or one to
    /// which a resumed run has added. Steps that a resumed run did again count once, as done last.
    ///
    /// # Errors
    /// One sentence that names the file: it is missing or cannot be read, or a record has another form.
    pub fn read(dir: &Path) -> Result<Run, ReadError> {
        let named = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let name = named.file_name().unwrap_or(named.as_os_str()).to_string_lossy().into_owned();
        let config = bytes(&dir.join("config.toml"))?;
        let evaluations = match lines(&dir.join("evaluations.jsonl"), |e: &Evaluation| e.step) {
            Err(ReadError::Missing { .. }) => Vec::new(),
            read => read?,
        };
        Ok(Run {
            name,
            config_toml: String::from_utf8_lossy(&config).into_owned(),
            metrics: lines(&dir.join("metrics.jsonl"), |s: &Step| s.step)?,
            evaluations,
            summary: parse(&dir.join("summary.json"), 1, &bytes(&dir.join("summary.json"))?)?,
        })
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    fs::read(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => ReadError::Missing { path: path.to_owned() },
        _ => ReadError::Unreadable { path: path.to_owned(), cause },
    })
}

fn parse<T: DeserializeOwned>(path: &Path, record: usize, json: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(json).map_err(|cause| ReadError::Malformed {
        path: path.to_owned(),
        record,
        cause,
    })
}

/// The records of a file of lines, in ascending order of their step.
fn lines<T: DeserializeOwned>(path: &Path, step: impl Fn(&T) -> u64) -> Result<Vec<T>, ReadError> {
    let bytes = bytes(path)?;
    let lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').filter(|l| !l.trim_ascii().is_empty()).collect();
    let mut records: Vec<T> = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        let record = match parse::<T>(path, i + 1, line) {
            Err(_) if serde_json::from_slice::<IgnoredAny>(line).is_err() => continue,
            parsed => parsed?,
        };
        records.truncate(records.partition_point(|earlier| step(earlier) < step(&record)));
        records.push(record);
    }
    Ok(records)
}
