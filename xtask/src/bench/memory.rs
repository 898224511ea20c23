//! The soak: 2,000 small steps over five local nodes, whose memory must stay what it was in the first quarter,
//! and within what `coordinator plan` predicted.

use super::resident::{self, Resident};
use super::{Row, idx};
use crate::run::{Failure, INTERNAL, Root, line, run, say, unstartable};
use crate::{libtorch, prerequisites, release};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONFIG: &str = "examples/fashion.toml";
const STEPS: usize = 2000;
/// 64 minibatches an epoch: evaluations and snapshots are part of the soak.
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
/// Steps after which buffers have found their sizes.
const WARM: usize = 100;
/// How often the nodes are looked at.
const LOOK: Duration = Duration::from_millis(200);
const MIB: f64 = (1 << 20) as f64;

/// How much the nodes had resident when the run had made so many steps.
struct Sample {
    step: usize,
    nodes: BTreeMap<usize, Resident>,
}

/// Trains, looks at the nodes meanwhile, and compares.
///
/// # Errors
/// What could not be set up, built or run.
pub fn memory(root: &Root) -> Result<Vec<Row>, Failure> {
    prerequisites::check(&libtorch::needs(root)?)?;
    libtorch::set_up(root)?;
    let mut build = root.cargo(&["build", "--bins", "-p", "coordinator", "-p", "layer-node"]);
    say(&line(&build));
    run(&mut build)?;

    let programs = release::own_folder()?;
    let folder = programs.join("bench-memory");
    let fresh = fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    let written =
        fresh.and_then(|()| fs::create_dir_all(&folder)).and_then(|()| idx::write(&folder, TRAIN, TEST));
    written.map_err(|error| {
        Failure::new(INTERNAL, format!("cannot write {} ({error}): make room there", folder.display()))
    })?;

    let predicted = predicted(&mut coordinator(root, &programs, &folder, &["plan", "--json"]))?;
    let run_dir = folder.join("run");
    let mut train = coordinator(root, &programs, &folder, &["train", "--local", "--run-dir"]);
    train.arg(&run_dir).stdout(Stdio::null()).stderr(Stdio::null());
    say(&line(&train));
    let child = train.spawn().map_err(|error| unstartable(&train, &error))?;
    let samples = watch(child, &run_dir)?;
    Ok(predicted.iter().enumerate().flat_map(|(stage, bytes)| rows(stage, *bytes, &samples)).collect())
}

fn coordinator(root: &Root, programs: &Path, data: &Path, words: &[&str]) -> Command {
    let mut command = root.command(programs.join("coordinator"));
    // The last word may be a flag that takes the next one.
    let (name, words) = words.split_first().map_or(("help", words), |(name, words)| (*name, words));
    command.args([name, "--config", CONFIG, "--set", &format!("data.path={}", data.display())]);
    SETTINGS.iter().for_each(|setting| _ = command.args(["--set", setting]));
    command.args(words);
    command
}

/// The bytes that `plan` predicts for each stage.
fn predicted(plan: &mut Command) -> Result<Vec<u64>, Failure> {
    let output = plan.output().map_err(|error| unstartable(plan, &error))?;
    let bytes = numbers(&String::from_utf8_lossy(&output.stdout), "\"memory_bytes\":");
    if output.status.success() && !bytes.is_empty() {
        return Ok(bytes);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(
        INTERNAL,
        format!("`{}` failed: {}", line(plan), said.lines().last().unwrap_or("it said nothing")),
    ))
}

/// The numbers that follow `key` in a text.
fn numbers(text: &str, key: &str) -> Vec<u64> {
    let number = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    text.split(key).skip(1).filter_map(number).collect()
}

/// Looks at the nodes of a run until it ends.
fn watch(mut coordinator: Child, run_dir: &Path) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    loop {
        let ended = coordinator.try_wait().map_err(|error| Failure::new(INTERNAL, error.to_string()))?;
        match ended {
            Some(status) if status.success() => return Ok(samples),
            Some(_) => {
                let why = format!("the run in {} failed: see its summary.json", run_dir.display());
                return Err(Failure::new(INTERNAL, why));
            }
            None => std::thread::sleep(LOOK),
        }
        let history = fs::read(run_dir.join("metrics.jsonl")).unwrap_or_default();
        let step = history.iter().filter(|byte| **byte == b'\n').count();
        samples.push(Sample { step, nodes: resident::nodes(coordinator.id()) });
    }
}

/// The most that a stage had resident in each quarter of the run, and at all.
fn peaks(stage: usize, samples: &[Sample]) -> ([u64; 4], u64) {
    let mut quarters = [0; 4];
    let mut peak = 0;
    for Sample { step, nodes } in samples {
        let Some(resident) = nodes.get(&stage) else { continue };
        // After the last step nodes are ending, which touches code and data that training does not.
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

fn rows(stage: usize, predicted: u64, samples: &[Sample]) -> [Row; 2] {
    let (quarters, peak) = peaks(stage, samples);
    let mib = |bytes: u64| bytes as f64 / MIB;
    say(&format!("stage {stage}: resident by quarters {:.1?} MiB, peak {:.1}", quarters.map(mib), mib(peak)));
    let row = |case: &str, ours: u64, reference: u64, floor, goal| Row {
        bench: "memory",
        case: format!("stage {stage}: {case}"),
        ratio: reference as f64 / (ours as f64).max(1.0),
        floor,
        goal,
        ours: mib(ours),
        reference: mib(reference),
        unit: "MiB",
        rounds: 1,
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
    fn numbers_are_read_by_key() {
        assert_eq!(numbers(r#"{"a":[{"n":12,"m":1},{"n":7}]}"#, "\"n\":"), [12, 7]);
        assert!(numbers("{}", "\"n\":").is_empty());
    }

    #[test]
    fn growth_shows_between_the_quarters() {
        let sample = |(step, now)| Sample { step, nodes: [(0, Resident { now, peak: now + 1 })].into() };
        let samples: Vec<_> =
            [(3, 900), (200, 100), (499, 110), (500, 120), (1499, 130), (1999, 140), (2000, 150)]
                .map(sample)
                .into();
        assert_eq!(peaks(0, &samples), ([110, 120, 130, 140], 901));
        let [growth, predicted] = rows(0, 901, &samples);
        assert!(growth.ratio < growth.floor, "{}", growth.ratio);
        assert_eq!(predicted.ratio, 1.0);
        assert_eq!(peaks(1, &samples), ([0; 4], 0), "a stage that was never seen");
    }
}
