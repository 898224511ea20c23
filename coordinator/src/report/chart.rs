//! A chart: its curves and axes, as data for `report.js` and as a figure that says in words what it shows.

use serde::Serialize;

use super::curve::{Curve, Style};
use super::run::Run;
use super::text::{escape, number};

/// Curves over the training steps.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    #[serde(skip)]
    title: String,
    /// Said beside the title.
    #[serde(skip)]
    note: String,
    /// Stands behind every value.
    pub(super) unit: &'static str,
    /// The vertical axis shows at least this.
    pub(super) at_least: Option<[f64; 2]>,
    /// The vertical axis shows at most this.
    pub(super) at_most: Option<[f64; 2]>,
    /// A value worth comparing with, drawn as a dashed line.
    pub(super) guide: Option<f64>,
    /// Whether the vertical axis is logarithmic.
    log: bool,
    /// One of many, without a legend.
    small: bool,
    curves: Vec<Curve>,
}

impl Chart {
    /// A chart of those curves that have a point.
    pub(super) fn new(title: impl Into<String>, unit: &'static str, curves: Vec<Curve>) -> Self {
        let curves = curves.into_iter().filter(|c| !c.values().is_empty()).collect();
        let (title, note, at_least, at_most) = (title.into(), String::new(), None, None);
        Self { title, note, unit, at_least, at_most, guide: None, log: false, small: false, curves }
    }

    /// A logarithmic axis, if the values are positive and span so much that a linear one would hide most.
    pub(super) fn log_if_wide(mut self) -> Self {
        let values = || self.curves.iter().flat_map(Curve::values).copied();
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        if low > 0.0 && high / low > 50.0 {
            (self.log, self.note) = (true, "logarithmic".to_owned());
        }
        self
    }

    /// An axis from 0 to at most twice what the curves begin with: a run that diverges leaves the chart
    /// instead of pressing the others flat. Evaluations come when it has, and are no measure.
    pub(super) fn cut_off(mut self) -> Self {
        let high = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let begin = self.curves.iter().filter(|c| c.style != Style::Marked);
        let limit = 2.0 * high(&mut begin.filter_map(|c| c.values().first().copied()));
        self.at_least = Some([0.0, 0.0]);
        if high(&mut self.curves.iter().flat_map(Curve::values).copied()) > limit && limit > 0.0 {
            (self.at_most, self.note) = (Some([0.0, limit]), format!("cut off at {limit:.1}"));
        }
        self
    }

    /// One of many, without a legend.
    pub(super) fn small(self) -> Self {
        Self { small: true, ..self }
    }

    /// What a reader hears instead: where every curve begins and ends.
    fn in_words(&self) -> String {
        let curve = |c: &Curve| {
            let end = |value: Option<&f64>| number(value.copied(), 2, self.unit);
            let name = if c.part.is_empty() { c.name.clone() } else { format!("{}, {}", c.name, c.part) };
            format!("{name}: from {} to {}", end(c.values().first()), end(c.values().last()))
        };
        let curves: Vec<_> = self.curves.iter().filter(|c| c.style != Style::Faint).map(curve).collect();
        format!("{}. {}.", self.title, curves.join("; "))
    }
}

/// The charts of a page, in the order of their figures.
#[derive(Debug, Serialize)]
pub(super) struct Charts {
    /// The first and the last step of all runs.
    steps: [u64; 2],
    /// The first step of every epoch, where there is only one run.
    epochs: Vec<u64>,
    charts: Vec<Chart>,
}

impl Charts {
    /// No chart yet, for a page about `runs`.
    pub(super) fn of(runs: &[Run]) -> Self {
        let steps = || runs.iter().flat_map(|run| &run.metrics).map(|s| s.step);
        let epochs = match runs {
            [run] => run.metrics.chunk_by(|a, b| a.epoch == b.epoch).map(|epoch| epoch[0].step).collect(),
            _ => Vec::new(),
        };
        let steps = [steps().min().unwrap_or(0), steps().max().unwrap_or(0)];
        Self { steps, epochs, charts: Vec::new() }
    }

    /// Takes a chart and gives the figure that stands for it in the page.
    pub(super) fn figure(&mut self, chart: Chart) -> String {
        let size = if chart.small { " class=\"small\"" } else { "" };
        let note =
            if chart.note.is_empty() { String::new() } else { format!(" <small>{}</small>", chart.note) };
        let (title, words) = (escape(&chart.title), escape(&chart.in_words()));
        let (index, empty) = (self.charts.len(), chart.curves.is_empty());
        self.charts.push(chart);
        if empty {
            return format!("<figure{size}><figcaption>{title}</figcaption><p>Not measured.</p></figure>\n");
        }
        format!(
            "<figure{size}><figcaption>{title}{note}</figcaption>\
             <div class=\"plot\" data-chart=\"{index}\" role=\"img\" aria-label=\"{words}\"></div></figure>\n"
        )
    }

    /// The data that `report.js` reads, fit to stand inside a script element: no `<`, and so no end of it.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default().replace('<', "\\u003c")
    }
}
