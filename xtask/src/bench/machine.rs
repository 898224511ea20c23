//! The machine and the versions of a bench: without them, its numbers cannot be compared with those of another day.

use crate::libtorch;
use crate::run::{Failure, Root};
use std::fs;
use std::thread::available_parallelism;

/// CPU, cores, libraries, commit and date, in one line.
///
/// # Errors
/// When the version of libtorch is not known.
pub fn describe(root: &Root) -> Result<String, Failure> {
    let cores = available_parallelism().map_or(0, usize::from);
    // PyTorch, if it is a reference, is installed in the same version.
    let torch = libtorch::wanted_version(root)?;
    let commit = said(root, "git", &["describe", "--always", "--dirty"]);
    let date = said(root, "date", &["-u", "+%F"]);
    Ok(format!("{}, {cores} cores; libtorch and PyTorch {torch}; commit {commit}; {date}", cpu()))
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("a CPU that does not say its name".into(), |(_, name)| name.into())
}

/// The output of a program, in one line.
fn said(root: &Root, program: &str, words: &[&str]) -> String {
    let output = root.command(program).args(words).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
    text.ok().filter(|text| !text.is_empty()).unwrap_or("unknown".into())
}
