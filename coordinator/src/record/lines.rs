//! Files of records, with one JSON object per line.
//!
//! A line that is no JSON was torn: the run was killed, or its host crashed, while the line was written. Readers
//! skip such a line, at the end of a file or before the lines of a resumed run.

use super::files::unwritable;
use crate::run_error::RunError;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// The record in a line; `None` if the line was torn.
///
/// # Errors
/// A line of JSON that is no such record.
pub fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<Option<T>, serde_json::Error> {
    match serde_json::from_slice(line) {
        Err(_) if serde_json::from_slice::<IgnoredAny>(line).is_err() => Ok(None),
        parsed => parsed.map(Some),
    }
}

/// The lines of `text`, without their line ends.
pub fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// All records in `text`; lines without a record are skipped.
pub fn records<T: DeserializeOwned>(text: &[u8]) -> impl Iterator<Item = T> {
    split(text).filter_map(|line| serde_json::from_slice(line).ok())
}

/// The step of a line, whatever the kind of its record.
pub fn step(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct At {
        step: u64,
    }
    serde_json::from_slice(line).ok().map(|At { step }| step)
}

/// A file to which lines are appended.
pub struct Appended {
    file: File,
    path: PathBuf,
}

impl Appended {
    /// Opens the file, and creates it if necessary.
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
