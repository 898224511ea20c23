//! `cargo xtask demo`: from a fresh clone to a trained network.

use crate::release;
use crate::run::{Failure, Root, line, say, unstartable};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

const CONFIG: &str = "examples/fashion.toml";

/// Sets up what is missing, builds, and becomes the coordinator: its exit code and signals are then ours,
/// and an interrupt reaches it as if it had been started by hand.
pub fn demo(root: &Root, extra: &[OsString]) -> Result<(), Failure> {
    let (coordinator, data) = release::ready(root)?;
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
