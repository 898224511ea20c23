//! Photographs on their way to the network: decoding, cropping and flipping beside torchvision, on one core each, and
//! the coordinator's memory over 100,000 of them.

use super::process::finish;
use super::resident::{self, Resident, mib};
use super::turns::{self, Contender, in_turn};
use super::{Bounds, Row};
use crate::json::numbers;
use crate::photographs::{self, FOLDER};
use crate::release::{self, Profile};
use crate::run::{Failure, Root, line, say};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Images of one measurement: two epochs.
const IMAGES: &str = "1536";
/// How long a measurement may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Floor and goal of our rate, as a multiple of torchvision's.
const DEFAULT: Bounds = (1.1, 1.7);
/// The same with the feature `turbojpeg`.
const TURBO: Bounds = (1.5, 1.7);

/// The network of the long training, and its minibatch.
const CONFIG: &str = "bench/photographs.toml";
const BATCH: usize = 128;
/// 100,000 images, rounded up to a minibatch.
const STEPS: usize = 100_000usize.div_ceil(BATCH);
/// How long the training may take.
const TRAINING: Duration = Duration::from_secs(1800);

/// Measures the rates by turns, then the memory.
pub fn input(root: &Root, rounds: usize) -> Result<Vec<Row>, Failure> {
    photographs::set_up(root)?;
    photographs::set_up_torchvision(root)?;
    let (default, turbo) = (photographs::program(root)?, photographs::turbo_program(root)?);
    let programs = release::programs(root, Profile::Release)?;
    let folder = &programs.join("bench-input");
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;

    let ours = |name, program, bounds| Contender {
        name,
        bounds,
        measure: Box::new(move || {
            rate(root.command(program).args(["rate", FOLDER, IMAGES]), &folder.join("ours.log"))
        }),
    };
    let mut contenders = vec![Contender {
        name: "torchvision",
        bounds: DEFAULT,
        measure: Box::new(|| {
            let mut python = photographs::torchvision(root);
            rate(python.args(["rate", &format!("{FOLDER}/train"), IMAGES]), &folder.join("torchvision.log"))
        }),
    }];
    contenders.push(ours("zune-jpeg, the default", &default, DEFAULT));
    contenders.extend(turbo.as_ref().map(|program| ours("turbojpeg", program, TURBO)));
    let measured = in_turn("decode, crop 224, flip", rounds, &contenders)?;
    let rates = contenders.iter().zip(&measured).skip(1).map(|(Contender { name, bounds, .. }, numbers)| {
        turns::rates("input", format!("{name}: torchvision"), numbers, &measured[0], *bounds)
    });
    let mut rows: Vec<_> = rates.collect();
    rows.push(memory(root, &programs, folder)?);
    Ok(rows)
}

/// Images per second that a program prints.
fn rate(program: &mut Command, log: &Path) -> Result<f64, Failure> {
    let printed = finish(program, LIMIT, log, |_| ())?;
    let rate = numbers(&printed, "images_per_s").first().copied();
    Ok(rate.ok_or_else(|| format!("`{}` printed no rate", line(program)))?)
}

/// Trains on 100,000 images, and compares the coordinator's memory with itself.
fn memory(root: &Root, programs: &Path, folder: &Path) -> Result<Row, Failure> {
    let run_dir = folder.join("run");
    _ = fs::remove_dir_all(&run_dir);
    let mut train = root.command(programs.join("coordinator"));
    train.args(["train", "--config", CONFIG, "--local", "--run-dir"]).arg(&run_dir);
    train.args(["--set", &format!("train.batch={BATCH}"), "--set", &format!("train.max_steps={STEPS}")]);
    train.env("NEUROPIL_LAYER_NODE", programs.join("layer-node"));
    say(&line(&train));
    let mut seen = Resident::new(STEPS);
    finish(&mut train, TRAINING, &folder.join("coordinator.log"), |process| {
        let history = fs::read(run_dir.join("metrics.jsonl")).unwrap_or_default();
        let step = history.iter().filter(|byte| **byte == b'\n').count();
        if let Some(sizes) = resident::of(format!("/proc/{process}").as_ref()) {
            seen.see(step, sizes);
        }
    })?;
    let quarters = seen.quarters.map(mib);
    say(&format!("the coordinator: resident by quarters {quarters:.1?} MiB, peak {:.1}", mib(seen.peak)));
    Ok(seen.growth("input", "coordinator, 100,000 images"))
}
