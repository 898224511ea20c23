//! The model of the page: every sentence, number and curve that depends on the run, without markup.

pub(crate) mod alignment;
mod bottleneck;
pub(crate) mod chart;
pub(crate) mod classes;
pub(crate) mod curve;
mod gantt;
pub(crate) mod headline;
mod learning;
mod prediction;
mod settings;
pub(crate) mod stages;
mod starts;
#[cfg(test)]
mod tests;
pub mod text;

use super::run::Run;
use alignment::Alignment;
use chart::{Chart, Charts};
pub use classes::Classes;
use gantt::Gantt;
use headline::Outcome;
pub use headline::facts_of;
use learning::Learning;
use stages::Stages;

/// The whole page, section by section.
pub struct Model<'a> {
    pub title: String,
    pub outcome: Outcome,
    pub learning: Learning,
    /// The newest evaluation by class, where it was counted.
    pub classes: Option<Classes>,
    pub alignment: Alignment<'a>,
    /// One step, where the record keeps one.
    pub gantt: Option<Gantt>,
    pub stages: Stages<'a>,
    /// Every chart of the page. Sections name a chart by its index.
    pub charts: Charts,
}

impl<'a> Model<'a> {
    /// The model of the page about `run`.
    pub fn of(run: &'a Run) -> Self {
        let mut charts = Charts::of(run);
        Self {
            title: run.name.clone(),
            outcome: Outcome::of(run),
            learning: Learning::of(run, &mut charts),
            classes: run.assessment.as_ref().and_then(Classes::of),
            alignment: Alignment::of(run, &mut charts),
            gantt: Gantt::of(run),
            stages: Stages::of(run, &mut charts),
            charts,
        }
    }

    /// The chart with this index; templates pass the index by reference.
    pub fn chart(&self, index: &usize) -> &Chart {
        &self.charts.charts[*index]
    }
}
