//! The model of the page: every sentence, number and curve that depends on the runs, without markup.

mod alignment;
mod chart;
mod classes;
mod curve;
mod headline;
mod learning;
mod settings;
mod stages;
#[cfg(test)]
mod tests;
pub mod text;

use super::run::Run;
use alignment::Alignment;
use chart::{Chart, Charts};
pub use classes::Classes;
use headline::Outcome;
pub use headline::facts_of;
use learning::Learning;
use settings::Differences;
use stages::Stages;

/// The whole page, section by section.
pub struct Model<'a> {
    pub title: String,
    pub outcomes: Vec<Outcome>,
    /// The settings in which several runs differ.
    pub differences: Option<Differences>,
    pub learning: Learning,
    /// The newest evaluation of each run by class, where it was counted.
    pub classes: Vec<Option<Classes>>,
    pub alignment: Alignment<'a>,
    pub stages: Stages<'a>,
    /// Every chart of the page. Sections name a chart by its index.
    pub charts: Charts,
}

impl<'a> Model<'a> {
    /// The model of the page about `runs`.
    pub fn of(runs: &'a [Run]) -> Self {
        let mut charts = Charts::of(runs);
        Self {
            title: headline::title(runs),
            outcomes: runs.iter().map(Outcome::of).collect(),
            differences: Differences::of(runs),
            learning: Learning::of(runs, &mut charts),
            classes: runs.iter().map(|run| run.assessment.as_ref().and_then(Classes::of)).collect(),
            alignment: Alignment::of(runs, &mut charts),
            stages: Stages::of(runs, &mut charts),
            charts,
        }
    }

    /// The chart with this index; templates pass the index by reference.
    pub fn chart(&self, index: &usize) -> &Chart {
        &self.charts.charts[*index]
    }
}
