//! The memory bench: 2,000 small steps over five local nodes. Their memory must stay what it was in the first
//! quarter, and must not exceed the prediction of `coordinator plan`.

use super::noise::{self, Format};
use super::process::{finish, numbers, watch};
use super::resident::{self, Resident};
use super::row::Row;
use crate::release::{self, Profile};
use crate::run::{Failure, INTERNAL, Root, line, say};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CONFIG: &str = "examples/fashion.toml";
const STEPS: usize = 2000;
/// An epoch has 64 minibatches, so that evaluations and snapshots are part of the bench.
const SETTINGS: [&str; 7] = [
    "data.kind=idx",
    "model.classes=10",
    "train.max_steps=2000",
    "train.epochs=100000",
    "train.batch=16",
    "snapshot.every_steps=100",
    "snapshot.best=true",
];
const TRAIN: u32 = 1024;
const TEST: u32 = 128;
/// The number of steps after which buffers have their final sizes.
const WARM: usize = 100;
/// How long the training may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// The resident memory of the nodes after a number of steps.
struct Sample {
    step: usize,
    nodes: BTreeMap<usize, Resident>,
}

/// Trains, samples the nodes' memory meanwhile, and compares.
///
/// # Errors
/// When set-up, build or training fails.
pub fn memory(root: &Root) -> Result<Vec<Row>, Failure> {
    let programs = release::programs(root, Profile::Tests)?;
    let folder = programs.join("bench-memory");
    noise::fresh(&folder, Format::Idx, TRAIN, TEST)?;
    let log = folder.join("coordinator.log");

    let mut plan = coordinator(root, &programs, &folder, &["plan", "--json"]);
    let predicted = numbers(&finish(&mut plan, LIMIT, &log)?, "memory_bytes");
    if predicted.is_empty() {
        return Err(Failure::new(INTERNAL, format!("`{}` predicted no memory", line(&plan))));
    }
    let run_dir = folder.join("run");
    let mut train = coordinator(root, &programs, &folder, &["train", "--local", "--run-dir"]);
    train.arg(&run_dir);
    say(&line(&train));
    let mut samples = Vec::new();
    watch(&mut train, LIMIT, &log, |process| {
        let history = fs::read(run_dir.join("metrics.jsonl")).unwrap_or_default();
        let step = history.iter().filter(|byte| **byte == b'\n').count();
        samples.push(Sample { step, nodes: resident::nodes(process) });
    })?;
    Ok(predicted.iter().enumerate().flat_map(|(stage, bytes)| rows(stage, *bytes, &samples)).collect())
}

fn coordinator(root: &Root, programs: &Path, data: &Path, words: &[&str]) -> Command {
    let mut command = root.command(programs.join("coordinator"));
    // The last word may be a flag that takes the next word.
    let (name, words) = words.split_first().map_or(("help", words), |(name, words)| (*name, words));
    command.args([name, "--config", CONFIG, "--set", &format!("data.path={}", data.display())]);
    SETTINGS.iter().for_each(|setting| _ = command.args(["--set", setting]));
    command.args(words);
    command
}

/// The peak resident memory of a stage in each quarter of the run, and in the whole run.
fn peaks(stage: usize, samples: &[Sample]) -> ([u64; 4], u64) {
    let mut quarters = [0; 4];
    let mut peak = 0;
    for Sample { step, nodes } in samples {
        let Some(resident) = nodes.get(&stage) else { continue };
        // After the last step the nodes are ending, which touches code and data that training does not touch.
        if *step < STEPS {
            peak = peak.max(resident.peak);
        }
        if (WARM..STEPS).contains(step) {
            let quarter = &mut quarters[step * 4 / STEPS];
            *quarter = resident.now.max(*quarter);
        }
    }
    (quarters, peak)
}

fn rows(stage: usize, predicted: f64, samples: &[Sample]) -> [Row; 2] {
    let (quarters, peak) = peaks(stage, samples);
    let quarters = quarters.map(|bytes| bytes as f64);
    let peak = peak as f64;
    say(&format!("stage {stage}: resident by quarters {:.1?} MiB, peak {:.1}", quarters.map(mib), mib(peak)));
    let row = |case: &str, ours: f64, reference: f64, floor, goal| {
        let ratio = reference / ours.max(1.0);
        let (ours, reference) = (mib(ours), mib(reference));
        let (case, spread) = (format!("stage {stage}: {case}"), (ratio, ratio));
        Row { bench: "memory", case, ratio, spread, floor, goal, ours, reference, unit: "MiB", rounds: 1 }
    };
    [
        row("last quarter, first quarter", quarters[3], quarters[0], 0.96, 0.99),
        row("peak, predicted", peak, predicted, 0.8, 1.0),
    ]
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_shows_between_the_quarters() {
        let sample = |(step, now)| Sample { step, nodes: [(0, Resident { now, peak: now + 1 })].into() };
        let samples: Vec<_> =
            [(3, 900), (200, 100), (499, 110), (500, 120), (1499, 130), (1999, 140), (2000, 150)]
                .map(sample)
                .into();
        assert_eq!(peaks(0, &samples), ([110, 120, 130, 140], 901));
        let [growth, predicted] = rows(0, 901.0, &samples);
        assert!(growth.ratio < growth.floor, "{}", growth.ratio);
        assert_eq!(predicted.ratio, 1.0);
        assert_eq!(peaks(1, &samples), ([0; 4], 0), "a stage that was never seen");
    }
}
