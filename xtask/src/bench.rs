//! `cargo xtask bench NAME`: numbers measured beside references, as one table and as JSON.

mod memory;
mod noise;
mod pipeline;
mod process;
mod row;

use crate::libtorch;
use crate::run::{Failure, Root};
use row::Row;
use std::fs;
use std::path::PathBuf;
use std::thread::available_parallelism;

/// Which bench.
#[derive(Debug, PartialEq)]
pub enum Bench {
    /// The soak.
    Memory,
    /// The speed of training.
    Pipeline {
        /// How often everything is measured.
        rounds: usize,
        /// The folder of another build's programs, which are measured as well.
        against: Option<PathBuf>,
    },
}

/// Runs a bench.
///
/// # Errors
/// A program that could not be run, or a ratio below its floor.
pub fn bench(root: &Root, bench: Bench) -> Result<(), Failure> {
    let rows = match bench {
        Bench::Memory => memory::memory(root)?,
        Bench::Pipeline { rounds, against } => pipeline::pipeline(root, rounds, against.as_deref())?,
    };
    let machine = machine(root)?;
    print!("\n{machine}\n\n{}", row::table(&rows));
    rows.iter().for_each(|row| println!("{}", row.json(&machine)));
    match rows.iter().find(|row| row.ratio < row.floor) {
        None => Ok(()),
        Some(Row { bench, case, ratio, floor, .. }) => {
            Err(format!("bench {bench}, {case}: the ratio is {ratio:.3}, below its floor of {floor}").into())
        }
    }
}

/// CPU, cores, libraries, commit and date, in one line: without them a bench cannot be compared with another day's.
fn machine(root: &Root) -> Result<String, Failure> {
    let said = |program: &str, words: &[&str]| {
        let output = root.command(program).args(words).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string());
        text.ok().filter(|text| !text.is_empty()).unwrap_or("unknown".into())
    };
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("a CPU that does not say its name", |(_, name)| name);
    let cores = available_parallelism().map_or(0, usize::from);
    // PyTorch, where it is a reference, is installed in the same version.
    let torch = libtorch::wanted_version(root)?;
    let commit = said("git", &["describe", "--always", "--dirty"]);
    let date = said("date", &["-u", "+%F"]);
    Ok(format!("{cpu}, {cores} cores; libtorch and PyTorch {torch}; commit {commit}; {date}"))
}
