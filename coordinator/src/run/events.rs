//! The event file of a run: the curves of `metrics.jsonl` and `evaluations.jsonl`, for TensorBoard.

mod record;

use super::folder::unwritable;
use crate::run_error::RunError;
use record::{Event, Scalar, Summary, VERSION, events, record};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// TensorBoard takes every file for an event file that has `tfevents` in its name.
const BEFORE: &str = "events.out.tfevents.";
/// Tells ours from those of other programs.
const AFTER: &str = ".neuropil";
/// Curves of evaluations; an evaluation belongs to the step before it, and is rolled back with the next.
const TEST: &str = "test/";

/// Points on curves, by the curves' names.
pub type Points = Vec<(String, f64)>;

/// An open event file.
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Begins a new event file in the run's folder with what the old one holds of the steps up to `step`,
    /// without the evaluation that follows `step` itself. The old one goes: TensorBoard follows a file by its
    /// name, and would not notice that one became shorter.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn begin(folder: &Path, step: u64) -> Result<Self, RunError> {
        let old = found(folder).map_err(|error| unwritable(folder, &error))?;
        let mut kept = record(&Event { file_version: Some(VERSION.into()), ..at(0) });
        // Two are there only where a begin was cut short; the newer one is whole then.
        if let Some(path) = old.iter().max() {
            let bytes = fs::read(path).map_err(|error| unwritable(path, &error))?;
            kept.extend(events(&bytes).filter(|event| stays(event, step)).flat_map(|event| record(&event)));
        }
        let path = folder.join(format!("{BEFORE}{:010}{AFTER}", now().as_secs()));
        let temporary = folder.join("events.writing");
        let written = fs::write(&temporary, kept).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|error| unwritable(&path, &error))?;
        for other in old.iter().filter(|other| **other != path) {
            fs::remove_file(other).map_err(|error| unwritable(other, &error))?;
        }
        let file = File::options().append(true).open(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(Self { file, path })
    }

    /// Appends the points of `step`.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn add(&mut self, step: u64, points: Points) -> Result<(), RunError> {
        let scalar = |(tag, value): (String, f64)| Scalar { tag, value: Some(value as f32) };
        let summary = Summary { values: points.into_iter().map(scalar).collect() };
        let bytes = record(&Event { summary: Some(summary), ..at(step) });
        self.file.write_all(&bytes).map_err(|error| unwritable(&self.path, &error))
    }
}

/// Whether an event is of the past to which the run goes back.
fn stays(event: &Event, step: u64) -> bool {
    let values = event.summary.as_ref().map_or(&[] as &[Scalar], |summary| &summary.values);
    let test = values.iter().any(|scalar| scalar.tag.starts_with(TEST));
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    !values.is_empty() && (event.step < step || event.step == step && !test)
}

fn found(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(BEFORE) && name.ends_with(AFTER)
    };
    Ok(paths.into_iter().filter(named).collect())
}

fn at(step: u64) -> Event {
    Event { wall_time: now().as_secs_f64(), step: step as i64, ..Event::default() }
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_back_shows_no_step_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::begin(folder.path(), 0).unwrap();
        for step in 1..=4 {
            file.add(step, vec![("train/loss".into(), step as f64)]).unwrap();
            file.add(step, vec![("test/loss".into(), step as f64)]).unwrap();
        }
        // The last record is torn, as by a kill.
        file.file.write_all(&record(&at(5))[..9]).unwrap();
        let mut file = EventFile::begin(folder.path(), 3).unwrap();
        file.add(4, vec![("train/loss".into(), 4.5)]).unwrap();
        let paths = found(folder.path()).unwrap();
        let [path] = &paths[..] else { panic!("{paths:?}") };
        let told = |event: Event| {
            let told = |scalar: Scalar| (event.step, scalar.tag, scalar.value);
            event.summary.into_iter().flat_map(|summary| summary.values).map(told).collect::<Vec<_>>()
        };
        let held: Vec<_> = events(&fs::read(path).unwrap()).flat_map(told).collect();
        let point = |step: i64, tag: &str, value: f32| (step, tag.to_owned(), Some(value));
        let (train, test) = ("train/loss", "test/loss");
        let due = [
            point(1, train, 1.0),
            point(1, test, 1.0),
            point(2, train, 2.0),
            point(2, test, 2.0),
            point(3, train, 3.0),
            point(4, train, 4.5),
        ];
        assert_eq!(held, due);
    }
}
