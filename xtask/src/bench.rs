//! `cargo xtask bench NAME`: numbers measured beside references, as one table and as JSON.

mod asynchronous;
mod case;
mod deep;
mod input;
mod links;
mod local;
mod memory;
mod pipeline;
mod process;
mod resident;
mod stages;
mod start;
mod step;
mod tls;
mod turns;
mod watched;

use crate::libtorch;
use crate::page::{self, PAGE};
use crate::run::{CONFIGURATION, Failure, Root, said, say};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// A bench, and how it is run.
#[derive(Debug, PartialEq)]
pub struct Bench {
    pub name: Name,
    pub options: Options,
}

/// Which bench.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Name {
    Asynchronous,
    Cuts,
    Input,
    Memory,
    Pipeline,
    Precision,
    Rules,
    SharedMemory,
    Stages,
    Start,
    Step,
    Tls,
    Wire,
}

impl Name {
    /// Every bench by the word for it.
    pub const ALL: [(&'static str, Name); 13] = [
        ("asynchronous", Name::Asynchronous),
        ("cuts", Name::Cuts),
        ("input", Name::Input),
        ("memory", Name::Memory),
        ("pipeline", Name::Pipeline),
        ("precision", Name::Precision),
        ("rules", Name::Rules),
        ("shared_memory", Name::SharedMemory),
        ("stages", Name::Stages),
        ("start", Name::Start),
        ("step", Name::Step),
        ("tls", Name::Tls),
        ("wire", Name::Wire),
    ];
    /// The benches of `cargo xtask results --speed`, each of which has a table in `docs/results.md`.
    const SPEED: [Name; 10] = [
        Name::Pipeline,
        Name::Asynchronous,
        Name::Step,
        Name::Rules,
        Name::Cuts,
        Name::Precision,
        Name::Stages,
        Name::Start,
        Name::Wire,
        Name::SharedMemory,
    ];

    /// The word for the bench.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, name)| *name == self).map_or("", |(word, _)| word)
    }

    fn rows(self, root: &Root, options: &Options) -> Result<Vec<Row>, Failure> {
        match self {
            Name::Asynchronous => asynchronous::asynchronous(root, options),
            Name::Cuts => local::cuts(root, options),
            Name::Input => input::input(root, options.rounds),
            Name::Memory => memory::memory(root),
            Name::Pipeline => pipeline::pipeline(root, options),
            Name::Precision => local::precision(root, options),
            Name::Rules => local::rules(root, options),
            Name::SharedMemory => links::SHARED_MEMORY.measure(root, options.rounds),
            Name::Stages => stages::stages(root, options),
            Name::Start => start::start(root, options),
            Name::Step => step::step(root, options),
            Name::Tls => tls::tls(root, options.rounds),
            Name::Wire => links::WIRE.measure(root, options.rounds),
        }
    }
}

/// How a bench is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How often everything is measured.
    pub rounds: usize,
    /// Whether a quick look will do: fewer steps, and fewer cases where there are many.
    pub is_short: bool,
    /// Whether the table goes into `docs/results.md`.
    pub writes: bool,
    /// The folder of another build's programs that are measured as well.
    pub against: Option<PathBuf>,
    /// The folder of programs that are built already and are measured in place of a new build.
    pub programs: Option<PathBuf>,
}

impl Options {
    /// The root with the programs of these options.
    fn root(&self, root: &Root) -> Result<Root, Failure> {
        let programs = self.programs.as_deref().map(|folder| built("--programs", folder)).transpose()?;
        Ok(root.with_programs(programs))
    }
}

/// The folder of another build that `option` names, as an absolute path: programs are started in the repository's folder.
fn built(option: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let refuse =
        |program| Failure::new(CONFIGURATION, format!("{option}: {} holds no {program}", folder.display()));
    let found = fs::canonicalize(folder).map_err(|_| refuse("programs"))?;
    match ["coordinator", "layer-node"].into_iter().find(|program| !found.join(program).is_file()) {
        None => Ok(found),
        Some(program) => Err(refuse(program)),
    }
}

/// Floor and goal of a ratio.
type Bounds = (f64, f64);

/// Runs a bench; a ratio below its floor is a failure.
pub fn bench(root: &Root, bench: &Bench) -> Result<(), Failure> {
    let _alone = alone(root)?;
    let root = &bench.options.root(root)?;
    let machine = machine(root)?;
    show(root, bench.name, &bench.options, &machine)
}

/// Runs every bench of speed, and writes their tables. A bench that fails leaves its table as it was, and the first
/// failure is returned after all benches.
pub fn speed(root: &Root, options: &Options) -> Result<(), Failure> {
    let _alone = alone(root)?;
    let root = &options.root(root)?;
    let machine = machine(root)?;
    let options = Options { writes: true, ..options.clone() };
    let mut first = None;
    for name in Name::SPEED {
        say(&format!("bench {}", name.word()));
        if let Err(failure) = show(root, name, &options, &machine) {
            say(&failure.sentence);
            first.get_or_insert(failure);
        }
    }
    first.map_or(Ok(()), Err)
}

/// The lock of all benches, which lasts as long as the handle. A file system without locks is accepted.
fn alone(root: &Root) -> Result<File, Failure> {
    let folder =
        File::open(root.join("bench")).map_err(|error| format!("bench/ cannot be opened: {error}"))?;
    if matches!(folder.try_lock(), Err(TryLockError::WouldBlock)) {
        let why =
            "another bench is under way here, and two at once would measure each other: wait for its end";
        return Err(why.to_string().into());
    }
    Ok(folder)
}

/// Runs a bench, and shows its rows.
fn show(root: &Root, name: Name, options: &Options, machine: &str) -> Result<(), Failure> {
    let rows = name.rows(root, options)?;
    print!("\n{machine}\n\n{}", table(&rows));
    rows.iter().for_each(|row| println!("{}", row.json(machine)));
    if options.writes {
        page::put(root, &format!("speed-{}", name.word()), &markdown(&rows, machine))?;
        say(&format!("the table stands in {PAGE}"));
    }
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

/// All rows as a table of `docs/results.md`, with the machine below it.
fn markdown(rows: &[Row], machine: &str) -> String {
    let mut text =
        "| case | ratio | by round | floor | goal | ours | reference | unit |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for Row { case, ratio, spread: (least, most), floor, goal, ours, reference, unit, .. } in rows {
        let floor = if *floor > 0.0 { format!("{floor:.2}") } else { "–".into() };
        let goal = if floor == "–" { "–".into() } else { format!("{goal:.2}") };
        text += &format!(
            "| {case} | {ratio:.3} | {least:.3} to {most:.3} | {floor} | {goal} | {ours:.1} | {reference:.1} | {unit} |\n"
        );
    }
    let rounds = rows.first().map_or(0, |row| row.rounds);
    format!("{text}\nMedians of {rounds} rounds by turns. {machine}.\n")
}

/// CPU, cores, libraries, commit and date, in one line: without them a bench cannot be compared with another day's.
fn machine(root: &Root) -> Result<String, Failure> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("a CPU that does not say its name", |(_, name)| name);
    let cores = available_parallelism().map_or(0, usize::from);
    // PyTorch, where it is a reference, is installed in the same version.
    let torch = libtorch::wanted_version(root)?;
    let commit = said(root, "git", &["describe", "--always", "--dirty"]);
    let date = said(root, "date", &["-u", "+%F"]);
    // Programs that the caller names may be those of another commit.
    let programs = if root.programs().is_some() { " (programs built before)" } else { "" };
    Ok(format!("{cpu}, {cores} cores; libtorch and PyTorch {torch}; commit {commit}{programs}; {date}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bench_of_speed_has_a_place_in_the_page() {
        let page = include_str!("../../docs/results.md");
        for name in Name::SPEED {
            let mark = format!("<!-- speed-{}: begin -->", name.word());
            assert_eq!(page.matches(&mark).count(), 1, "{mark}");
        }
        assert_eq!(page.matches("<!-- speed-").count(), 2 * Name::SPEED.len());
    }

    #[test]
    fn a_folder_without_programs_is_refused_by_its_option() {
        let nowhere = std::env::temp_dir().join("no programs of Neuropil");
        let sentence = built("--programs", &nowhere).unwrap_err().sentence;
        assert!(
            sentence.starts_with("--programs: ") && sentence.ends_with("holds no programs"),
            "{sentence}"
        );
    }
}
