//! A run as its folder tells it.
//!
//! Nearly every field of a record may be missing: a run that failed has said less. A number that was not finite is a
//! `None`.

use crate::record::{Evaluation, Step, Summary};

/// Everything the page says about one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What the page calls it: the name of its folder.
    pub name: String,
    /// The resolved configuration, as it stands in `config.toml`.
    pub config_toml: String,
    /// The training steps in order, each once.
    pub metrics: Vec<Step>,
    /// The evaluations in order; none if there was none.
    pub evaluations: Vec<Evaluation>,
    /// How it ended.
    pub summary: Summary,
}
