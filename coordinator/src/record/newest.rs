//! The run that a resume without a name goes on with, among the runs `runs/STEM-N`.

use super::claim::{Claim, Holds, RUNS, numbered};
use super::difference::Difference;
use super::folder::began;
use super::names::{CONFIG, IDENTITY, SUMMARY};
use super::summary::Summary;
use crate::config::Config;
use crate::run_error::RunError;
use std::fs;
use std::path::{Path, PathBuf};

/// The most runs that a sentence names.
const NAMED: usize = 5;

/// Claims the run of `stem` that a resume under `config` goes on with: the only one that has not ended and has this
/// configuration, or else the newest. Also returns the message about the choice.
///
/// # Errors
/// No run of that stem, several to go on with, or a newest run that another process works on.
pub fn newest(stem: &str, config: &Config) -> Result<(Claim, String), RunError> {
    let numbers = numbers(stem);
    let Some(newest) = numbers.first() else {
        return Err(RunError::configuration(format!(
            "there is no run {RUNS}/{stem}-N to go on with: leave out --resume to begin {RUNS}/{stem}-1, or give --name or --run-dir, with which --resume auto begins a run that is not there yet"
        )));
    };
    let mut open = Vec::new();
    for path in numbers.iter().map(|number| numbered(stem, *number)).filter(|path| may_go_on(path, config)) {
        open.extend(Claim::attempt(&path)?.filter(|claim| claim.holds == Holds::Run));
    }
    let newest = numbered(stem, *newest);
    let claim = match open.len() {
        0 => Claim::open(newest.clone(), "run")?,
        1 => open.remove(0),
        _ => return Err(ambiguous(&open)),
    };
    let which = if claim.path == newest {
        "the newest run"
    } else {
        "the only unfinished run with this configuration"
    };
    let message = format!("going on with {}, {which} of {stem}", claim.path.display());
    Ok((claim, message))
}

/// The numbers of the runs of `stem`, the newest first.
fn numbers(stem: &str) -> Vec<u64> {
    let entries = fs::read_dir(RUNS).into_iter().flatten().flatten();
    let number = |name: &str| name.strip_prefix(stem)?.strip_prefix('-')?.parse::<u64>().ok();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u64> = names
        .filter_map(|name| number(&name))
        .filter(|number| [IDENTITY, CONFIG].iter().all(|file| numbered(stem, *number).join(file).exists()))
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    numbers.dedup();
    numbers
}

/// Whether the run in `path` has not come to its end and has this configuration.
fn may_go_on(path: &Path, config: &Config) -> bool {
    let summary =
        fs::read(path.join(SUMMARY)).ok().and_then(|bytes| serde_json::from_slice::<Summary>(&bytes).ok());
    let status = summary.and_then(|summary| summary.status).unwrap_or_default();
    // A run that would go on in another cut, or with other numbers, is named by the user.
    let same = || began(path).is_ok_and(|began| matches!(Difference::is_free(&began, config), Ok(true)));
    !matches!(status.as_str(), "done" | "diverged") && same()
}

fn ambiguous(open: &[Claim]) -> RunError {
    let paths: Vec<PathBuf> = open.iter().map(|claim| claim.path.clone()).collect();
    let shown: Vec<String> = paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    RunError::configuration(format!(
        "the runs {}{more} have this configuration and have not ended: name the run to go on with, as in --run-dir {}",
        shown.join(", "),
        shown[0]
    ))
}
