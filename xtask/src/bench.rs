//! `cargo xtask bench NAME`: numbers measured beside references, as one table and as JSON.

mod input;
mod memory;
mod pipeline;
mod process;
mod resident;
mod shared_memory;
mod tls;
mod turns;
mod wire;

use crate::libtorch;
use crate::run::{Failure, Root};
use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::thread::available_parallelism;

/// Which bench.
#[derive(Debug, PartialEq)]
pub enum Bench {
    /// How often every rate is measured.
    Input {
        rounds: usize,
    },
    Memory,
    /// How often everything is measured, and the folder of another build's programs that are measured as well.
    Pipeline {
        rounds: usize,
        against: Option<PathBuf>,
    },
    /// How often every rate is measured.
    SharedMemory {
        rounds: usize,
    },
    /// How often everything is measured.
    Tls {
        rounds: usize,
    },
    /// How often every rate is measured.
    Wire {
        rounds: usize,
    },
}

/// Floor and goal of a ratio.
type Bounds = (f64, f64);

/// Runs a bench; a ratio below its floor is a failure.
pub fn bench(root: &Root, bench: Bench) -> Result<(), Failure> {
    let folder =
        File::open(root.join("bench")).map_err(|error| format!("bench/ cannot be opened: {error}"))?;
    // The lock lasts as long as the handle. A file system without locks is accepted.
    if matches!(folder.try_lock(), Err(TryLockError::WouldBlock)) {
        let why =
            "another bench is under way here, and two at once would measure each other: wait for its end";
        return Err(why.to_string().into());
    }
    let rows = match bench {
        Bench::Input { rounds } => input::input(root, rounds)?,
        Bench::Memory => memory::memory(root)?,
        Bench::SharedMemory { rounds } => shared_memory::shared_memory(root, rounds)?,
        Bench::Tls { rounds } => tls::tls(root, rounds)?,
        Bench::Wire { rounds } => wire::wire(root, rounds)?,
        Bench::Pipeline { rounds, against } => pipeline::pipeline(root, rounds, against.as_deref())?,
    };
    let machine = machine(root)?;
    print!("\n{machine}\n\n{}", table(&rows));
    rows.iter().for_each(|row| println!("{}", row.json(&machine)));
    match rows.iter().find(|row| row.ratio < row.floor) {
        None => Ok(()),
        Some(Row { bench, case, ratio, floor, .. }) => {
            Err(format!("bench {bench}, {case}: the ratio is {ratio:.3}, below its floor of {floor}").into())
        }
    }
}

/// One thing measured.
pub struct Row {
    pub bench: &'static str,
    /// The things compared.
    pub case: String,
    /// How good `ours` is, as a multiple of `reference`: the more, the better.
    pub ratio: f64,
    /// The smallest and the largest ratio of a round.
    pub spread: (f64, f64),
    /// A ratio below this one fails the bench.
    pub floor: f64,
    /// The ratio that should be reached.
    pub goal: f64,
    /// The median over the rounds, as that of `reference`.
    pub ours: f64,
    pub reference: f64,
    pub unit: &'static str,
    pub rounds: usize,
}

impl Row {
    /// The row as JSON; its words are plain ASCII, which Rust quotes as JSON does.
    pub fn json(&self, machine: &str) -> String {
        let Self { bench, case, ratio, spread: (least, most), floor, goal, ours, reference, unit, rounds } =
            self;
        format!(
            r#"{{"bench":{bench:?},"case":{case:?},"ratio":{ratio:.4},"floor":{floor},"goal":{goal},"ours":{ours:.2},"reference":{reference:.2},"unit":{unit:?},"rounds":{rounds},"ratio_min":{least:.4},"ratio_max":{most:.4},"machine":{machine:?}}}"#
        )
    }
}

/// All rows as a table for people.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.case.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:<width$} {:>7} {:>13} {:>7} {:>7} {:>9} {:>10}  unit\n",
        "case", "ratio", "by round", "floor", "goal", "ours", "reference"
    );
    for Row { case, ratio, spread: (least, most), floor, goal, ours, reference, unit, .. } in rows {
        let spread = format!("{least:.3}-{most:.3}");
        text += &format!(
            "{case:<width$} {ratio:>7.3} {spread:>13} {floor:>7.2} {goal:>7.2} {ours:>9.1} {reference:>10.1}  {unit}\n"
        );
    }
    text
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
