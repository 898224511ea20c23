//! What the page says: every sentence, number and curve that depends on the runs, and no markup.

mod alignment;
mod chart;
mod curve;
mod headline;
mod learning;
mod settings;
mod stages;
#[cfg(test)]
mod tests;
mod text;

use super::run::Run;
use alignment::Alignment;
use chart::{Chart, Charts};
use headline::Headline;
use learning::Learning;
use settings::Differences;
use stages::Stages;

/// The whole page, section by section.
pub struct Model<'a> {
    pub runs: Vec<Key<'a>>,
    pub headline: Headline<'a>,
    /// The settings in which several runs differ.
    pub differences: Option<Differences>,
    pub learning: Learning,
    pub alignment: Alignment<'a>,
    pub stages: Stages<'a>,
    /// The tables of every run's configuration.
    pub configurations: Vec<Vec<&'a str>>,
    /// Every chart of the page. Sections name a chart by its index.
    pub charts: Charts,
}

/// A run's name, and its place among the runs, which gives the run its colour.
pub struct Key<'a> {
    pub index: usize,
    pub name: &'a str,
}

impl<'a> Model<'a> {
    /// What the page says about `runs`.
    pub fn of(runs: &'a [Run]) -> Self {
        let mut charts = Charts::of(runs);
        Self {
            runs: runs.iter().enumerate().map(|(index, run)| Key { index, name: &run.name }).collect(),
            headline: Headline::of(runs),
            differences: Differences::of(runs),
            learning: Learning::of(runs, &mut charts),
            alignment: Alignment::of(runs, &mut charts),
            stages: Stages::of(runs, &mut charts),
            configurations: runs.iter().map(|run| run.config_toml.trim().split("\n\n").collect()).collect(),
            charts,
        }
    }

    /// The chart with this index, which a template has by reference.
    pub fn chart(&self, index: &usize) -> &Chart {
        &self.charts.charts[*index]
    }

    /// Whether the page compares several runs.
    pub fn compares(&self) -> bool {
        self.runs.len() != 1
    }
}
