//! The curves of a run: an event file for TensorBoard, with the points of `metrics.jsonl` and `evaluations.jsonl`.

mod event;
pub mod hparams;

use super::drawn::Drawn;
use super::evaluation::Evaluation;
use super::files::unwritable;
use super::step::Step;
use crate::run_error::RunError;
use event::{Event, Scalar, Summary, VERSION, events, record};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The beginning of an event file's name: TensorBoard takes every file with `tfevents` in its name for an event
/// file.
const BEFORE: &str = "events.out.tfevents.";
/// The end of the name, which tells a run's own event file from those of other programs.
const AFTER: &str = ".neuropil";
/// The prefix of the curves of evaluations. An evaluation belongs to the step before it, and is rolled back with
/// the next step.
const TEST: &str = "test/";

/// An open event file.
pub struct Curves {
    file: File,
    path: PathBuf,
}

impl Curves {
    /// Begins a new event file in the run's folder, with the old file's points of the steps up to `step`, but
    /// without the evaluation that follows `step` itself. The old file is removed: TensorBoard follows a file by
    /// its name, and would not notice that the file became shorter.
    pub fn begin(folder: &Path, step: u64) -> Result<Self, RunError> {
        let old = found(folder).map_err(|error| unwritable(folder, &error))?;
        let mut kept = record(&Event { file_version: Some(VERSION.into()), ..at(0) });
        // Two files are there only if an earlier call was cut short; the newer file is complete then.
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

    /// Appends the points of a training step, which followed the step `before`.
    pub fn step(&mut self, before: Option<&Step>, step: &Step) -> Result<(), RunError> {
        let drawn = Drawn::of(before, step);
        let mut points = vec![
            scalar("train/loss", drawn.loss),
            scalar("train/accuracy", drawn.accuracy),
            scalar("train/images_per_s", drawn.images_per_s),
            scalar("train/epoch", Some(step.epoch as f64)),
            scalar("lr/w", step.lr),
            scalar("lr/b", step.lr_b),
        ];
        for layer in &step.layers {
            points.push(scalar(format!("angle_deg/{}", layer.name), layer.angle_deg));
            points.push(scalar(format!("norm_ratio/{}", layer.name), layer.norm_ratio));
            points.push(scalar(format!("output_angle_deg/{}", layer.name), layer.output_angle_deg));
            points.push(scalar(format!("error_angle_deg/{}", layer.name), layer.error_angle_deg));
        }
        self.add(step.step, points)
    }

    /// Appends the points of an evaluation.
    pub fn evaluation(&mut self, evaluation: &Evaluation) -> Result<(), RunError> {
        let Evaluation { step, loss, top1, top5, .. } = *evaluation;
        let points = [("loss", loss), ("top1", top1), ("top5", top5)];
        self.add(step, points.map(|(name, value)| scalar(format!("{TEST}{name}"), value)).into())
    }

    /// Appends the points that have a value: TensorBoard would draw the others as triangles at the last one.
    fn add(&mut self, step: u64, mut values: Vec<Scalar>) -> Result<(), RunError> {
        values.retain(|scalar| scalar.value.is_some_and(f32::is_finite));
        if values.is_empty() {
            return Ok(());
        }
        let bytes = record(&Event { summary: Some(Summary { values }), ..at(step) });
        self.file.write_all(&bytes).map_err(|error| unwritable(&self.path, &error))
    }
}

/// A point on the curve `tag`.
fn scalar(tag: impl Into<String>, value: Option<f64>) -> Scalar {
    Scalar { tag: tag.into(), value: value.map(|value| value as f32), ..Scalar::default() }
}

/// Whether an event stays in the history when the run goes back to `step`.
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
        let mut file = Curves::begin(folder.path(), 0).unwrap();
        for step in 1..=4 {
            file.add(step, vec![scalar("train/loss", Some(step as f64))]).unwrap();
            file.add(step, vec![scalar("test/loss", Some(step as f64))]).unwrap();
            file.add(step, vec![scalar("angle_deg/fc", None), scalar("angle_deg/fc", Some(f64::NAN))])
                .unwrap();
        }
        // The last record is torn, as after a kill.
        file.file.write_all(&record(&at(5))[..9]).unwrap();
        let mut file = Curves::begin(folder.path(), 3).unwrap();
        file.add(4, vec![scalar("train/loss", Some(4.5))]).unwrap();
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
