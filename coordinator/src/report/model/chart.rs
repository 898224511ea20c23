//! A chart: its curves and axes, as data for `report.js` and as a sentence for screen readers.

use std::slice::from_ref;

use serde::Serialize;

use super::curve::{Curve, Style};
use super::starts::{Mark, marks};
use super::text::number;
use crate::report::Run;

/// Curves over the training steps.
#[derive(Debug, Default, Serialize)]
pub struct Chart {
    #[serde(skip)]
    pub title: String,
    /// The note beside the title.
    #[serde(skip)]
    pub note: String,
    /// The unit behind every value.
    pub unit: &'static str,
    /// The range that the vertical axis shows at least.
    pub at_least: Option<[f64; 2]>,
    /// The range that the vertical axis shows at most.
    pub at_most: Option<[f64; 2]>,
    /// A reference value, drawn as a dashed line.
    pub guide: Option<f64>,
    /// Whether the vertical axis is logarithmic.
    pub log: bool,
    /// Whether the chart is small, without a legend.
    pub small: bool,
    pub curves: Vec<Curve>,
}

impl Chart {
    /// A chart of the curves that have a point.
    pub fn new(title: impl Into<String>, unit: &'static str, curves: Vec<Curve>) -> Self {
        let curves = curves.into_iter().filter(|c| !c.values().is_empty()).collect();
        Self { title: title.into(), unit, curves, ..Self::default() }
    }

    /// Makes the axis logarithmic if the values are positive and span so much that a linear axis would hide most of
    /// them.
    pub fn log_if_wide(mut self) -> Self {
        let values = || self.curves.iter().flat_map(Curve::values).copied();
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        if low > 0.0 && high / low > 50.0 {
            (self.log, self.note) = (true, "logarithmic".to_owned());
        }
        self
    }

    /// Limits the axis to between 0 and twice the curves' first values: a run that diverges leaves the chart
    /// instead of pressing the other curves flat. The curve of evaluations starts later, so its loss does not
    /// count.
    pub fn cut_off(mut self) -> Self {
        let high = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let begin = self.curves.iter().filter(|c| c.style != Style::Marked);
        let limit = 2.0 * high(&mut begin.filter_map(|c| c.values().first().copied()));
        self.at_least = Some([0.0, 0.0]);
        if high(&mut self.curves.iter().flat_map(Curve::values).copied()) > limit && limit > 0.0 {
            (self.at_most, self.note) = (Some([0.0, limit]), format!("cut off at {limit:.1}"));
        }
        self
    }

    /// The description for screen readers: the beginning and the end of every curve.
    pub fn in_words(&self) -> String {
        let curve = |c: &Curve| {
            let end = |value: Option<&f64>| number(&value.copied(), 2, self.unit);
            format!("{}: from {} to {}", c.name, end(c.values().first()), end(c.values().last()))
        };
        let curves: Vec<_> = self.curves.iter().filter(|c| c.style != Style::Faint).map(curve).collect();
        format!("{}. {}.", self.title, curves.join("; "))
    }
}

/// The charts of a page, in the order of their figures.
#[derive(Debug, Serialize)]
pub struct Charts {
    /// The first and the last step.
    steps: [u64; 2],
    /// The first step of every epoch.
    epochs: Vec<u64>,
    /// The places at which the run went on, as vertical lines.
    marks: Vec<Mark>,
    pub charts: Vec<Chart>,
}

impl Charts {
    /// No chart yet, for a page about `run`.
    pub fn of(run: &Run) -> Self {
        let ends = [run.metrics.first(), run.metrics.last()];
        let epochs = run.metrics.chunk_by(|a, b| a.epoch == b.epoch).map(|epoch| epoch[0].step).collect();
        let steps = ends.map(|step| step.map_or(0, |step| step.step));
        Self { steps, epochs, marks: marks(from_ref(run)), charts: Vec::new() }
    }

    /// Adds a chart and returns its index.
    pub fn add(&mut self, chart: Chart) -> usize {
        self.charts.push(chart);
        self.charts.len() - 1
    }
}
