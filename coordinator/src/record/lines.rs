//! Files of records, one JSON object a line.
//!
//! A line that is no JSON was torn: a run was killed, or its host crashed, while the line was written. Such a line
//! counts for nothing, at the end of a file or where a run that went on has written behind it.

use super::files::unwritable;
use crate::run_error::RunError;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// The record in a line; `None` where the line was torn.
///
/// # Errors
/// A line that is JSON, and no such record.
pub fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<Option<T>, serde_json::Error> {
    match serde_json::from_slice(line) {
        Err(_) if serde_json::from_slice::<IgnoredAny>(line).is_err() => Ok(None),
        parsed => parsed.map(Some),
    }
}

/// The lines of `text`, without their ends.
pub fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// All records in `text`; lines that hold none are skipped.
pub fn records<T: DeserializeOwned>(text: &[u8]) -> impl Iterator<Item = T> {
    split(text).filter_map(|line| serde_json::from_slice(line).ok())
}

/// The step that a line is about, of whichever kind its record is.
pub fn step(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct At {
        step: u64,
    }
    serde_json::from_slice(line).ok().map(|At { step }| step)
}

/// A file that lines are appended to.
pub struct Appended {
    file: File,
    path: PathBuf,
}

impl Appended {
    /// Opens the file, which need not be there yet.
    pub fn open(path: PathBuf) -> Result<Self, RunError> {
        let file = File::options().create(true).append(true).open(&path);
        Ok(Self { file: file.map_err(|error| unwritable(&path, &error))?, path })
    }

    /// Appends a record.
    pub fn add(&mut self, record: &impl Serialize) -> Result<(), RunError> {
        let mut line = serde_json::to_vec(record).map_err(RunError::internal)?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| unwritable(&self.path, &error))
    }

    /// Waits until all lines are on the disk.
    pub fn sync(&self) -> Result<(), RunError> {
        self.file.sync_data().map_err(|error| unwritable(&self.path, &error))
    }
}
