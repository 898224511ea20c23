//! `coordinator compare`: several runs laid over each other, as a page, a CSV and pictures.
//!
//! ```text
//! folders ─▶ Member (run, name) ─case, naming─▶ Case ─quantity, statistics─▶ charts ─┬─▶ page (report.js draws)
//!  runs, sweeps                                  │                                   └─▶ figure ─▶ SVG ─▶ PNG
//!                                                ├─▶ tables: mean ± standard deviation
//!                                                └─▶ csv
//! ```
//!
//! Runs that differ in their seeds alone are one case, with one colour, one line (the mean) and one band (the range).
//! All but reading and writing is pure, and depends on the runs alone.

mod case;
mod charts;
mod csv;
mod differences;
mod figure;
mod folders;
mod naming;
mod outcomes;
mod page;
mod palette;
mod quantity;
mod settings;
mod statistics;
#[cfg(test)]
mod tests;

use crate::console::answer;
use crate::record::files::publish;
use crate::report;
use crate::report::model::chart::Chart;
use crate::run_error::RunError;
use case::Case;
use charts::{Drawing, Grid};
use figure::Form;
use proto::disk::cannot;
use std::path::{Path, PathBuf};

/// The folders that a comparison reads, and the files that it writes.
#[derive(Clone, Copy, Debug)]
pub struct CompareOptions<'a> {
    /// The folders of runs and of sweeps.
    pub folders: &'a [PathBuf],
    /// The page.
    pub out: &'a Path,
    /// The file for all numbers.
    pub csv: Option<&'a Path>,
    /// The file for the figure, and the beginning of the names of those with single charts.
    pub svg: Option<&'a Path>,
    /// The same for PNG.
    pub png: Option<&'a Path>,
}

/// Compares runs: writes the page and the files that are asked for, and prints their names. Of a single run the page is
/// its report.
///
/// # Errors
/// A folder that cannot be read, or a file that cannot be written.
pub fn compare(options: CompareOptions) -> Result<(), RunError> {
    let (mut members, remarks) = folders::read(options.folders)?;
    let page = match members.as_mut_slice() {
        [only] => report::render(&only.run),
        _ => String::new(),
    };
    let cases = case::cases(members);
    let charts = charts::drawings(&cases);
    let grids = charts::grids(&cases);
    if let Some(path) = options.csv {
        write(path, "--csv", csv::csv(&cases).as_bytes())?;
    }
    if options.svg.is_some() || options.png.is_some() {
        for (part, svg) in figures(&cases, &charts, &grids) {
            if let Some(path) = options.svg {
                write(&beside(path, &part), "--svg", svg.as_bytes())?;
            }
            if let Some(path) = options.png {
                write(&beside(path, &part), "--png", &figure::png(&svg)?)?;
            }
        }
    }
    let page = if page.is_empty() { page::render(&cases, charts, grids, &remarks) } else { page };
    write(options.out, "--out", page.as_bytes())
}

/// The SVG of all charts together under an empty name, then those of single charts and of the layers' charts.
fn figures(cases: &[Case], charts: &[Drawing], grids: &[Grid]) -> Vec<(String, String)> {
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let steps = charts::steps(cases);
    let svg = |title: &str, charts: &[&Chart], form| figure::svg(title, charts, &names, steps, form);
    let all: Vec<_> = charts.iter().map(|drawing| &drawing.chart).collect();
    let single = |one: &Drawing| (one.file.to_owned(), svg(&one.chart.title, &[&one.chart], Form::ONE));
    let layers = |grid: &Grid| {
        let small: Vec<&Chart> = grid.charts.iter().collect();
        (format!("{}-layers", grid.file), svg(grid.title, &small, Form::SMALL))
    };
    let whole = (String::new(), svg("Comparison", &all, Form::SEVERAL));
    [whole].into_iter().chain(charts.iter().map(single)).chain(grids.iter().map(layers)).collect()
}

/// The path of a part of a figure: `f-PART.svg` beside `f.svg`.
fn beside(path: &Path, part: &str) -> PathBuf {
    if part.is_empty() {
        return path.to_owned();
    }
    let (stem, end) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let dot = if end.is_empty() { "" } else { "." };
    path.with_file_name(format!("{}-{part}{dot}{}", stem.to_string_lossy(), end.to_string_lossy()))
}

fn write(path: &Path, flag: &str, bytes: &[u8]) -> Result<(), RunError> {
    publish(path, bytes).map_err(|error| {
        RunError::internal(cannot("cannot write", path, &error, &format!("give {flag} another file")))
    })?;
    answer(format_args!("{}\n", path.display()))
}
