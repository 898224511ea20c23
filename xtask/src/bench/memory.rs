//! The soak: 2,000 small steps over five local nodes, whose memory must stay what it was in the first quarter,
//! and within what `coordinator plan` predicted.

use super::Row;
use super::process::{coordinator, finish};
use super::resident::{self, Resident, mib};
use crate::json::numbers;
use crate::noise;
use crate::release::{self, Profile};
use crate::run::{Failure, Root, line, say};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

const STEPS: usize = 2000;
/// 64 minibatches an epoch of 1,024 samples: evaluations and snapshots are part of the soak.
const SETTINGS: [&str; 7] = [
    "data.kind=idx",
    "model.classes=10",
    "train.max_steps=2000",
    "train.epochs=100000",
    "train.batch=16",
    "snapshot.every_steps=100",
    "snapshot.best=true",
];
/// How long the training may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// Trains, looks at the nodes meanwhile, and compares.
pub fn memory(root: &Root) -> Result<Vec<Row>, Failure> {
    let programs = release::programs(root, Profile::Tests)?;
    let folder = programs.join("bench-memory");
    noise::fresh(&folder, noise::idx, 1024, 128)?;
    let log = folder.join("coordinator.log");

    let mut plan = coordinator(root, &programs, "plan", &folder, &SETTINGS);
    let predicted = numbers(&finish(plan.arg("--json"), LIMIT, &log, |_| ())?, "memory_bytes");
    if predicted.is_empty() {
        return Err(format!("`{}` predicted no memory", line(&plan)).into());
    }
    let run_dir = folder.join("run");
    let mut train = coordinator(root, &programs, "train", &folder, &SETTINGS);
    train.args(["--local", "--run-dir"]).arg(&run_dir);
    say(&line(&train));
    let mut stages: BTreeMap<usize, Resident> = BTreeMap::new();
    finish(&mut train, LIMIT, &log, |process| {
        let history = fs::read(run_dir.join("metrics.jsonl")).unwrap_or_default();
        let step = history.iter().filter(|byte| **byte == b'\n').count();
        for (stage, sizes) in nodes(process) {
            stages.entry(stage).or_insert(Resident::new(STEPS)).see(step, sizes);
        }
    })?;
    // A stage that was never seen has nothing resident, and fails.
    let stage =
        |(stage, bytes)| rows(stage, bytes as u64, &stages.remove(&stage).unwrap_or(Resident::new(STEPS)));
    Ok(predicted.into_iter().enumerate().flat_map(stage).collect())
}

/// The layer nodes that the process `parent` started: their stages, the bytes that they have resident now, and the
/// most that they ever had.
fn nodes(parent: u32) -> impl Iterator<Item = (usize, [u64; 2])> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let process = process.path();
        let status = fs::read_to_string(process.join("status")).ok()?;
        if resident::field(&status, "PPid")? != u64::from(parent) {
            return None;
        }
        let words = fs::read_to_string(process.join("cmdline")).ok()?;
        let stage = words.split('\0').find_map(|word| word.rsplit_once("/stage-")?.1.parse().ok())?;
        Some((stage, resident::of(&process)?))
    })
}

fn rows(stage: usize, predicted: u64, seen: &Resident) -> [Row; 2] {
    let (quarters, peak) = (seen.quarters.map(mib), mib(seen.peak));
    say(&format!("stage {stage}: resident by quarters {quarters:.1?} MiB, peak {peak:.1}"));
    let peak = format!("stage {stage}: peak, predicted");
    [
        seen.growth("memory", &format!("stage {stage}")),
        resident::row("memory", peak, seen.peak, predicted, (0.8, 1.0)),
    ]
}
