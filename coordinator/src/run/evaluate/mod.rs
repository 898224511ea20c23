//! `coordinator evaluate`: sends the test set, or single pictures, through a state of a run.

mod classify;
mod subject;
mod which;

pub use classify::{Classified, classify};
pub use subject::settable;
pub use which::Which;

use crate::config::Environment;
use crate::prepare::Placement;
use crate::record::{Assessment, Pass};
use crate::run_error::RunError;
use std::path::Path;
use subject::Subject;

/// The advice for a run that cannot be read.
const ELSEWHERE: &str = "give --run the folder of a run";

/// The state to evaluate, and where.
pub struct Order<'a> {
    /// The folder of the run.
    pub run_dir: &'a Path,
    /// The state.
    pub which: Which,
    /// The nodes that hold the state.
    pub placement: Placement,
    /// `key=value`s above the run's configuration.
    pub sets: &'a [String],
    /// The environment of the configuration.
    pub environment: &'a Environment<'a>,
}

/// The result of an evaluation.
pub struct Evaluated {
    /// The accuracy, in full.
    pub assessment: Assessment,
    /// The configuration of the evaluation: the run's, with what was set.
    pub config_toml: String,
}

/// Evaluates a state on the whole test set. Nothing is written into the run's folder, which may be on a read-only file
/// system.
///
/// # Errors
/// A folder without a run, a key that cannot be set, a missing state, or a node that fails.
pub async fn evaluate(order: Order<'_>) -> Result<Evaluated, RunError> {
    let subject = Subject::open(order).await?;
    let mut pass = Pass::default();
    subject.pass(|outcome| pass.add(&outcome)).await?;
    let prepared = &subject.prepared;
    let evaluation = pass.complete(subject.step, 0);
    let assessment = Assessment::new(&evaluation, &pass.tally, prepared.class_names());
    let config_toml = prepared.config.to_toml().map_err(RunError::configuration)?;
    Ok(Evaluated { assessment, config_toml })
}
