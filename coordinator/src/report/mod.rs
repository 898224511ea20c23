//! The report page: HTML of one run. [`crate::compare`] lays several over each other, with the same parts.
//!
//! ```text
//! runs/NAME/ ──Run::read──▶ Run ──Model::of──▶ Model ─┬─ templates/report/*.html ─┬─▶ one page
//!                                                     └─ JSON ▶ report.js + uPlot ┘
//! ```
//!
//! `model` decides the page's content: which curves there are, how they are smoothed and thinned, and their names.
//! The templates and the style decide how the page looks, and `report.js` only draws. The important numbers stand
//! in tables too, so the page says the same without its script.
//!
//! The page loads no resource from elsewhere (its policy forbids it) and depends on no clock and no
//! randomness: the same run gives the same bytes. The template engine escapes every string of a run.

mod error;
pub(crate) mod model;
mod read;
mod run;
#[cfg(test)]
mod tests;

pub use error::ReadError;
pub use model::text;
pub use run::Run;

use crate::record::Assessment;
use askama::Template;
use model::{Classes, Model, facts_of};

/// The style of every page.
pub const STYLE: &str = include_str!("assets/report.css");
pub(crate) const SCRIPT: &str = include_str!("assets/report.js");
pub(crate) const PLOT_STYLE: &str = include_str!("assets/uPlot.min.css");
pub(crate) const PLOT_SCRIPT: &str = include_str!("assets/uPlot.iife.min.js");
pub(crate) const PLOT_LICENCE: &str = include_str!("assets/uPlot.LICENSE");

/// The page's template, filled in with the run and the model of the page.
#[derive(Template)]
#[template(path = "report/page.html", whitespace = "minimize")]
struct Page<'a> {
    run: &'a Run,
    model: Model<'a>,
}

/// One self-contained page: the report of a run. It opens without a network and is a function of the run alone.
///
/// # Examples
/// ```no_run
/// use coordinator::report::{Run, render};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = Run::read("runs/first".as_ref())?;
/// std::fs::write("report.html", render(&run))?;
/// # Ok(()) }
/// ```
pub fn render(run: &Run) -> String {
    Page { run, model: Model::of(run) }.to_string()
}

/// The page of an evaluation.
#[derive(Template)]
#[template(path = "report/evaluation.html", whitespace = "minimize")]
struct EvaluationPage<'a> {
    name: &'a str,
    facts: Vec<String>,
    samples: u64,
    found: &'a Assessment,
    classes: Option<Classes>,
    config_toml: &'a str,
}

/// One self-contained page about an evaluation of the run `name`, whose configuration was `config_toml`. It has no
/// script and is a function of its arguments alone.
pub fn render_evaluation(name: &str, config_toml: &str, found: &Assessment) -> String {
    let facts = facts_of(config_toml, found.step);
    let (samples, classes) = (found.samples as u64, Classes::of(found));
    EvaluationPage { name, facts, samples, found, classes, config_toml }.to_string()
}
