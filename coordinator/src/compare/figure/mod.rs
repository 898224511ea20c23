//! Figures: charts as an SVG for print, and the same as a PNG.
//!
//! ```text
//! Chart ─▶ panel (places of lines, bands, marks) ─┐
//! names of cases ─▶ legend ───────────────────────┴▶ templates/compare/figure.svg ─▶ SVG ─png─▶ PNG
//! ```
//!
//! A figure depends on its charts alone, so the same runs give the same bytes. It names no resource; its text is text,
//! in whatever sans serif font the reader has.

mod axis;
mod legend;
mod panel;
mod png;

pub use png::png;

use crate::report::model::chart::Chart;
use askama::Template;
use legend::{Entry, Legend};
use panel::{Panel, rounded};

/// The width of a figure, in pixels of which an inch has 96: 720 of them are the text's width of most
/// papers.
const WIDTH: f64 = 720.0;
const GAP: f64 = 14.0;
/// The white around a figure: on both sides, and above and below. The template begins as far before the first place.
const MARGIN: [f64; 2] = [16.0, 12.0];

/// A figure, as its template draws it.
#[derive(Template)]
#[template(path = "compare/figure.svg", whitespace = "minimize")]
struct Figure {
    title: String,
    width: f64,
    height: f64,
    legend: Vec<Entry>,
    panels: Vec<Panel>,
}

/// The form of a figure.
#[derive(Clone, Copy)]
pub struct Form {
    columns: usize,
    /// The width of the figure, and the height of a panel.
    size: [f64; 2],
}

impl Form {
    /// Several charts in two columns.
    pub const SEVERAL: Self = Self { columns: 2, size: [WIDTH, 220.0] };
    /// One chart.
    pub const ONE: Self = Self { columns: 1, size: [WIDTH / 2.0, 220.0] };
    /// Small charts, four in a row.
    pub const SMALL: Self = Self { columns: 4, size: [WIDTH, 130.0] };
}

/// The SVG of charts under one legend of the cases' names. All charts reach from the first to the last of `steps`.
pub fn svg(title: &str, charts: &[&Chart], names: &[String], steps: [u64; 2], form: Form) -> String {
    let Form { columns, size: [width, height] } = form;
    let inner = width - MARGIN[0];
    let legend = Legend::of(names, inner);
    let size = [(inner - GAP * (columns - 1) as f64) / columns as f64, height];
    let at = |index: usize| {
        let (row, column) = (index / columns, index % columns);
        [column as f64 * (size[0] + GAP), legend.height + row as f64 * (size[1] + GAP)]
    };
    let panel = |(index, chart): (usize, &&Chart)| Panel::of(chart, steps, index, at(index), size);
    let rows = charts.len().div_ceil(columns) as f64;
    let height = rounded(legend.height + rows * (size[1] + GAP) + MARGIN[1]);
    let panels = charts.iter().enumerate().map(panel).collect();
    Figure { title: printable(title), width, height, legend: legend.entries, panels }.to_string()
}

/// A text without the characters that XML does not have.
fn printable(text: &str) -> String {
    let fits = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}
