//! What a person looks at after a run: one HTML page, for one run or for several laid over each other.
//!
//! ```text
//! runs/NAME/ ──Run::read──▶ Run ──┬─ headline, tables, settings ──▶ HTML ─────────┐
//!                                 └─ chart ──curve──▶ JSON ──▶ report.js + uPlot ─┴─▶ one page
//! ```
//!
//! Everything is decided here: which curves there are, how they are smoothed and thinned, what they
//! are called. `report.js` only draws. The numbers that matter stand in tables too, so the page says
//! the same to who cannot see the curves or runs no scripts.
//!
//! What is absent: no resource from elsewhere (the page forbids itself to fetch any), no clock and no
//! randomness (the same runs give the same bytes), and no string of a run that isn't escaped.

mod alignment;
mod chart;
mod curve;
mod error;
mod headline;
mod learning;
mod read;
mod run;
mod settings;
mod stages;
#[cfg(test)]
mod tests;
mod text;

pub use error::ReadError;
pub use run::{Run, Step};

use chart::Charts;
use text::escape;

const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");
const PLOT_STYLE: &str = include_str!("assets/uPlot.min.css");
const PLOT_SCRIPT: &str = include_str!("assets/uPlot.iife.min.js");
const PLOT_LICENCE: &str = include_str!("assets/uPlot.LICENSE");

/// One self-contained page: a report of one run, or a comparison of several.
///
/// The page opens without a network and is a function of the runs alone. In a comparison a run keeps
/// its colour throughout, in the order given; runs may differ in length, layers and stages.
///
/// # Examples
/// ```no_run
/// use coordinator::report::{Run, render};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runs = [Run::read("runs/first".as_ref())?, Run::read("runs/second".as_ref())?];
/// std::fs::write("compare.html", render(&runs))?;
/// # Ok(()) }
/// ```
pub fn render(runs: &[Run]) -> String {
    let mut charts = Charts::of(runs);
    let sections = [
        headline::section(runs),
        settings::differences(runs),
        learning::section(runs, &mut charts),
        alignment::section(runs, &mut charts),
        stages::section(runs, &mut charts),
        settings::section(runs),
    ];
    let title = escape(&headline::title(runs));
    let (body, data) = (sections.concat(), charts.json());
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title} · Neuropil</title>
<style>{PLOT_STYLE}</style>
<style>
{STYLE}</style>
</head>
<body>
<main>
{body}</main>
<noscript><p>The curves are drawn by a script; the tables say how they end.</p></noscript>
<footer>Neuropil. Curves drawn by uPlot, whose licence is part of this page's source.</footer>
<script type="application/json" id="data">{data}</script>
<script>
/*
{PLOT_LICENCE}
*/
{PLOT_SCRIPT}</script>
<script>
{SCRIPT}</script>
</body>
</html>
"#
    )
}
