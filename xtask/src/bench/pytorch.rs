//! PyTorch as the reference: the release whose libtorch Neuropil links, in `target/pytorch/`.

use super::process::{finish, numbers};
use crate::prerequisites::{self, COMPILER, PIP, PYTHON};
use crate::run::{Failure, INTERNAL, Root, line, run, say};
use std::path::Path;
use std::time::Duration;

const SET_UP: &str = "pytorch.py";
const TRAIN: &str = "bench/pytorch_pipeline.py";

/// Sets PyTorch up if it is missing.
///
/// # Errors
/// When programs are missing on this machine, or a download fails.
pub fn set_up(root: &Root) -> Result<(), Failure> {
    prerequisites::check(&[COMPILER, PYTHON, PIP])?;
    let mut script = root.script(SET_UP);
    say(&line(&script));
    run(&mut script)
}

/// Trains with PyTorch, and returns images per second.
///
/// # Errors
/// When training fails, or takes longer than `limit`.
pub fn images_per_s(root: &Root, words: &[String], limit: Duration, folder: &Path) -> Result<f64, Failure> {
    let mut python = root.command("python3");
    python.arg(TRAIN).args(words).env("PYTHONPATH", root.join("target/pytorch"));
    let printed = finish(&mut python, limit, &folder.join("pytorch.log"))?;
    let rate = numbers(&printed, "images_per_s").first().copied();
    rate.ok_or_else(|| Failure::new(INTERNAL, format!("`{}` printed no rate", line(&python))))
}
