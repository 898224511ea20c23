//! The page of a comparison: HTML that holds its styles, its data and its scripts.

use super::case::Case;
use super::charts::{self, Drawing, Grid, Section};
use super::differences::Differences;
use super::outcomes::{Ends, Outcome, Work, ends};
use super::settings;
use crate::report::model::alignment::{Split, has_product};
use crate::report::model::chart::Chart;
use crate::report::model::{Classes, headline};
use crate::report::text::{self, plural};
use crate::report::{PLOT_LICENCE, PLOT_SCRIPT, PLOT_STYLE, Run, SCRIPT, STYLE};
use askama::Template;
use serde::Serialize;

/// The most runs whose accuracy by class the page shows.
const CLASSES: usize = 12;

/// The page's template, filled in.
#[derive(Template)]
#[template(path = "compare/page.html", whitespace = "minimize")]
struct Page<'a> {
    model: Model<'a>,
    cases: &'a [Case],
    remarks: &'a [String],
}

/// The contents of the page's sections.
struct Model<'a> {
    title: String,
    /// The facts that all runs share.
    lead: Vec<String>,
    outcomes: Vec<Outcome>,
    runs: Vec<Row<'a>>,
    differences: Option<Differences<'a>>,
    learning: Vec<usize>,
    alignment: Vec<usize>,
    time: Vec<usize>,
    ends: Vec<Ends>,
    grids: Vec<Part>,
    /// Whether B·R stands for B in a layer of some run.
    product: bool,
    split: Option<Split>,
    work: Vec<Work>,
    classes: Vec<(&'a str, Classes)>,
    data: Data,
}

/// One run as a row.
struct Row<'a> {
    index: usize,
    case: &'a Case,
    run: &'a Run,
    seed: String,
    outcome: headline::Outcome,
}

/// A grid of small charts.
struct Part {
    title: &'static str,
    charts: Vec<usize>,
    /// The layers that have no chart here, in words.
    more: Option<String>,
}

/// The charts that `report.js` draws.
#[derive(Serialize)]
struct Data {
    /// The first and the last step of all runs.
    steps: [u64; 2],
    /// Empty: cases may differ in the steps of their epochs and in their starts.
    epochs: [u64; 0],
    marks: [u64; 0],
    charts: Vec<Chart>,
}

impl Model<'_> {
    /// The chart with this index; templates pass the index by reference.
    fn chart(&self, index: &usize) -> &Chart {
        &self.data.charts[*index]
    }

    /// The runs that did not come to their end.
    fn unfinished(&self) -> usize {
        self.runs.iter().filter(|row| row.outcome.verdict != "good").count()
    }
}

/// The page about `cases`, with their charts; `remarks` are sentences about what is left out.
pub fn render(cases: &[Case], drawings: Vec<Drawing>, grids: Vec<Grid>, remarks: &[String]) -> String {
    let runs = || cases.iter().flat_map(|case| &case.runs);
    let of =
        |section| (0..).zip(&drawings).filter(move |(_, one)| one.section == section).map(|(index, _)| index);
    let [learning, alignment, time] =
        [Section::Learning, Section::Alignment, Section::Time].map(|section| of(section).collect());
    let mut charts: Vec<Chart> = drawings.into_iter().map(|drawing| drawing.chart).collect();
    let part = |Grid { title, charts: small, left_out, .. }: Grid| {
        let first = charts.len();
        charts.extend(small);
        let more = (left_out > 0).then(|| plural(left_out as u64, "layer"));
        Part { title, charts: (first..charts.len()).collect(), more }
    };
    let grids = grids.into_iter().map(part).collect();
    let model = Model {
        title: format!("{} compared", plural(runs().count() as u64, "run")),
        lead: lead(cases),
        outcomes: cases.iter().map(Outcome::of).collect(),
        runs: rows(cases),
        differences: Differences::of(cases),
        learning,
        alignment,
        time,
        ends: ends(cases),
        grids,
        product: runs().any(has_product),
        split: Split::of(&runs().collect::<Vec<_>>()),
        work: cases.iter().map(Work::of).collect(),
        classes: classes(cases),
        data: Data { steps: charts::steps(cases), epochs: [], marks: [], charts },
    };
    Page { model, cases, remarks }.to_string()
}

/// The network where it is the same for all, and the number of cases.
fn lead(cases: &[Case]) -> Vec<String> {
    let network = |case: &Case| headline::network_of(case.config_toml());
    let first = cases.first().and_then(network);
    let shared = first.filter(|first| cases.iter().all(|case| network(case).as_ref() == Some(first)));
    let count = Some(plural(cases.len() as u64, "case"));
    [shared, count].into_iter().flatten().collect()
}

fn rows<'a>(cases: &'a [Case]) -> Vec<Row<'a>> {
    let of_case = |(index, case): (usize, &'a Case)| case.runs.iter().map(move |run| (index, case, run));
    let row = |(index, case, run)| Row {
        index,
        case,
        run,
        seed: settings::seed(run).map_or_else(|| text::NONE.to_owned(), |seed| seed.to_string()),
        outcome: headline::Outcome::of(run),
    };
    cases.iter().enumerate().flat_map(of_case).map(row).collect()
}

/// The newest evaluation of each run by class, unless the runs are many.
fn classes(cases: &[Case]) -> Vec<(&str, Classes)> {
    let runs: Vec<&Run> = cases.iter().flat_map(|case| &case.runs).collect();
    if runs.len() > CLASSES {
        return Vec::new();
    }
    let by_class = |run: &&'_ Run| run.assessment.as_ref().and_then(Classes::of);
    runs.iter().filter_map(|run| Some((run.name.as_str(), by_class(run)?))).collect()
}
