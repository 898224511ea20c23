//! The soak: 2,000 small steps over five local nodes, whose memory must stay what it was in the first quarter,
//! and within what `coordinator plan` predicted.

use super::Row;
use super::process::{coordinator, finish};
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
/// Steps after which buffers have found their sizes.
const WARM: usize = 100;
/// How long the training may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// What a stage had resident, in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Resident {
    /// The most in each quarter of the run.
    quarters: [u64; 4],
    /// The most at all.
    peak: u64,
}

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
        for (stage, now, peak) in nodes(process) {
            stages.entry(stage).or_default().see(step, now, peak);
        }
    })?;
    let stage = |(stage, bytes)| rows(stage, bytes, &stages.remove(&stage).unwrap_or_default());
    Ok(predicted.into_iter().enumerate().flat_map(stage).collect())
}

impl Resident {
    /// Takes in what a node has resident after so many steps, and the most that it ever had.
    fn see(&mut self, step: usize, now: u64, peak: u64) {
        // After the last step nodes are ending, which touches code and data that training does not.
        if step < STEPS {
            self.peak = self.peak.max(peak);
        }
        if (WARM..STEPS).contains(&step) {
            let quarter = &mut self.quarters[step * 4 / STEPS];
            *quarter = now.max(*quarter);
        }
    }
}

/// The layer nodes that the process `parent` started: their stages, the bytes that they have resident now, and the
/// most that they ever had.
fn nodes(parent: u32) -> impl Iterator<Item = (usize, u64, u64)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let status = fs::read_to_string(process.path().join("status")).ok()?;
        if field(&status, "PPid")? != u64::from(parent) {
            return None;
        }
        let words = fs::read_to_string(process.path().join("cmdline")).ok()?;
        let stage = words.split('\0').find_map(|word| word.rsplit_once("/stage-")?.1.parse().ok())?;
        Some((stage, field(&status, "VmRSS")? * 1024, field(&status, "VmHWM")? * 1024))
    })
}

/// The first number of a line `NAME:  NUMBER …`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

fn rows(stage: usize, predicted: f64, resident: &Resident) -> [Row; 2] {
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let quarters = resident.quarters.map(|bytes| bytes as f64);
    let peak = resident.peak as f64;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_shows_between_the_quarters() {
        let samples = [(3, 900), (200, 100), (499, 110), (500, 120), (1499, 130), (1999, 140), (2000, 150)];
        let mut resident = Resident::default();
        samples.into_iter().for_each(|(step, now)| resident.see(step, now, now + 1));
        assert_eq!(resident, Resident { quarters: [110, 120, 130, 140], peak: 901 });
        let [growth, predicted] = rows(0, 901.0, &resident);
        assert!(growth.ratio < growth.floor, "{}", growth.ratio);
        assert_eq!(predicted.ratio, 1.0);
        let unseen = Resident { quarters: [0; 4], peak: 0 };
        assert_eq!(Resident::default(), unseen, "a stage that was never seen");
    }

    #[test]
    fn numbers_are_found_by_name() {
        let status = "Name:\tlayer-node\nPPid:\t42\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(["PPid", "VmRSS", "VmHWM"].map(|name| field(status, name)), [42, 1024, 2048].map(Some));
        assert_eq!(field(status, "Vm"), None);
    }
}
