//! `cargo xtask demo`: from a fresh clone to a trained network.

use crate::run::{Failure, INTERNAL, Root, line, run, say, unstartable};
use crate::{dataset, libtorch, prerequisites};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

const CONFIG: &str = "examples/fashion.toml";

/// Sets up what is missing, builds, and becomes the coordinator: its exit code and signals are then ours,
/// and an interrupt reaches it as if it had been started by hand.
///
/// # Errors
/// What could not be set up, built or started; after that the coordinator speaks for itself.
pub fn demo(root: &Root, extra: &[OsString]) -> Result<(), Failure> {
    prerequisites::check(&[libtorch::needs(root)?, dataset::needs(root)?].concat())?;
    libtorch::set_up(root)?;
    let data = dataset::set_up(root)?;
    let coordinator = release_folder()?.join("coordinator");
    build(root, coordinator.exists())?;

    let mut train = root.command(coordinator);
    train.args(["train", "--config", CONFIG, "--local"]).env("NEUROPIL_DATA", data);
    if !names_its_run(extra) {
        train.arg("--name").arg(free_name(root));
    }
    train.args(extra);
    say(&line(&train));
    let error = train.exec();
    Err(unstartable(&train, &error))
}

fn build(root: &Root, built_before: bool) -> Result<(), Failure> {
    let mut cargo = root.cargo(&["build", "--release", "--bins", "-p", "coordinator", "-p", "layer-node"]);
    let patience = if built_before { "" } else { "   (the first build takes some minutes)" };
    say(&format!("{}{patience}", line(&cargo)));
    run(&mut cargo)
}

/// Where cargo puts release builds: beside the folder that this program itself was built into, whatever
/// decided where that is.
fn release_folder() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe().ok();
    let target = this.as_deref().and_then(|program| program.parent()?.parent());
    target
        .map(|folder| folder.join("release"))
        .ok_or_else(|| Failure::new(INTERNAL, "cargo's target folder was not found"))
}

fn names_its_run(extra: &[OsString]) -> bool {
    let own = ["--name", "--run-dir", "--resume"];
    extra.iter().any(|word| own.iter().any(|name| word.to_string_lossy().split('=').next() == Some(*name)))
}

/// The first of demo-1, demo-2, … that names no run yet.
fn free_name(root: &Root) -> String {
    let names = (1_u32..).map(|number| format!("demo-{number}"));
    let mut free = names.filter(|name| !root.join("runs").join(name).exists());
    free.next().expect("there are fewer runs than numbers")
}
