//! A run, as read from its folder.
//!
//! Nearly every field of a record may be missing, because a run that failed knows less. A number that was not
//! finite is a `None`.

use crate::record::{Assessment, Evaluation, Start, Step, StepTimeline, Summary};
use proto::spec::begin::Begin;

/// The records of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The run's name on the page: the name of its folder.
    pub name: String,
    /// The resolved configuration, as it stands in `config.toml`.
    pub config_toml: String,
    /// The training steps in order, each once.
    pub metrics: Vec<Step>,
    /// The evaluations in order; may be empty.
    pub evaluations: Vec<Evaluation>,
    /// The newest evaluation by class; runs of earlier releases have none.
    pub assessment: Option<Assessment>,
    /// The starts of the run in order; runs of earlier releases have none.
    pub starts: Vec<Start>,
    /// The state of another run, or the weights, that the run began from.
    pub begin: Option<Begin>,
    /// One step of the run on one clock; runs of earlier releases have none.
    pub timeline: Option<StepTimeline>,
    /// The run's summary.
    pub summary: Summary,
}
