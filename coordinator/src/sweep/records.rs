//! The records of trials that ran each by itself (`--trial`): one file a trial, with the line of the ledger.

use super::ledger::Record;
use crate::record::files::{self, unwritable};
use crate::run_error::RunError;
use proto::disk::cannot;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The record of the trial `number` in the file at `path`; `None` if the trial has not ended yet.
///
/// # Errors
/// A file that cannot be read, that is damaged, or that is another trial's.
pub fn read(path: &Path, number: usize) -> Result<Option<Record>, RunError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| RunError::internal(cannot("cannot read", path, &error, "")))?,
    };
    let damaged = |why: String| {
        let place = path.display();
        RunError::configuration(format!(
            "{place} is damaged ({why}): remove the file, and --trial makes it again from the trial's run folder"
        ))
    };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    match record.trial == number {
        true => Ok(Some(record)),
        false => Err(damaged(format!("it is the record of trial {}", record.trial))),
    }
}

/// Writes the record of a trial that has ended.
///
/// # Errors
/// A file that cannot be written.
pub fn write(path: &Path, record: &Record) -> Result<(), RunError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let line = serde_json::to_string(record).map_err(RunError::internal)?;
    files::write(path, format!("{line}\n").as_bytes())
}
