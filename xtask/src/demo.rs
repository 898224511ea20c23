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
        train.args(["--stem", "demo"]);
    }
    train.args(extra);
    say(&line(&train));
    let error = train.exec();
    Err(unstartable(&train, &error))
}

fn names_its_run(extra: &[OsString]) -> bool {
    let own = ["--name", "--run-dir", "--stem"];
    extra.iter().any(|word| own.iter().any(|name| word.to_string_lossy().split('=').next() == Some(*name)))
}
