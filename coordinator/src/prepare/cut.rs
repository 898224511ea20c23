//! The cut of a run's network into stages.

use crate::config::{Config, Stages};
use crate::driver::{IN_FLIGHT, MOST_UNDER_WAY};
use crate::model::Network;
use crate::partition::{self, Cuts, Estimator, Rates, Workload};
use crate::pipeline::Shape;
use crate::run_error::RunError;
use std::ops::Range;

/// The estimator behind the automatic cut, with the usual rates.
///
/// # Errors
/// A network whose shapes do not fit.
pub fn estimator(config: &Config, network: &Network) -> Result<Estimator, RunError> {
    estimator_at(config, network, Rates::default())
}

/// The estimator with these assumed rates.
///
/// # Errors
/// A network whose shapes do not fit.
pub fn estimator_at(config: &Config, network: &Network, rates: Rates) -> Result<Estimator, RunError> {
    let workload = Workload {
        batch: config.train.batch,
        microbatches: config.pipeline.microbatches.min(config.train.batch),
        update_every: config.step().microbatches,
        between_drains: between_drains(config),
        schedule: config.pipeline.schedule,
        ahead: config.pipeline.ahead,
        wire: config.network.kind(),
        error_feedback: config.network.error_feedback,
        optimizer: config.optimizer.method(),
        optimizer_backward: config.optimizer_b.method(),
        recompute: config.pipeline.recompute,
        signals: config.metrics.signals_every() > 0,
        precision: config.node.precision,
        rates,
    };
    Estimator::new(network, workload).map_err(RunError::configuration)
}

/// The steps between two drains within an epoch; 0 where there are none.
fn between_drains(config: &Config) -> u32 {
    let due =
        [config.train.evaluate_every, config.snapshot.every_steps].into_iter().filter(|every| *every > 0);
    due.min().map_or(0, |every| u32::try_from(every).unwrap_or(0))
}

/// Cuts `network` as `config` says.
///
/// # Errors
/// A cut that the network does not have.
pub fn cut(config: &Config, network: &Network) -> Result<Vec<Range<usize>>, RunError> {
    cut_by(config, network, &estimator(config, network)?)
}

/// Cuts `network` as `config` says, balanced by `estimator` if the configuration gives only the number of stages.
///
/// # Errors
/// A cut that the network does not have.
pub fn cut_by(
    config: &Config,
    network: &Network,
    estimator: &Estimator,
) -> Result<Vec<Range<usize>>, RunError> {
    let cuts = match &config.pipeline.stages {
        Stages::Count(count) => Cuts::Count(*count),
        Stages::PerLayer => Cuts::PerLayer,
        Stages::PerBlock => Cuts::PerBlock,
        Stages::Cuts(names) => Cuts::At(names.clone()),
    };
    let ranges = partition::cut(network, &cuts, estimator, None).map_err(RunError::configuration)?;
    check_under_way(config, ranges.len())?;
    Ok(ranges)
}

/// Refuses an asynchronous pipeline with more steps under way than nodes have room for.
fn check_under_way(config: &Config, stages: usize) -> Result<(), RunError> {
    let (step, ahead) = (config.step(), config.pipeline.ahead);
    let shape = Shape::new(stages as u32, step.microbatches, ahead).map_err(RunError::configuration)?;
    let under_way = u64::from(shape.lookahead()) + IN_FLIGHT as u64;
    if !config.is_asynchronous() || under_way <= MOST_UNDER_WAY {
        return Ok(());
    }
    let least = (shape.lead(0) - 1).div_ceil(MOST_UNDER_WAY as u32 - IN_FLIGHT as u32);
    Err(RunError::configuration(format!(
        "an asynchronous pipeline of {stages} stages with an update every {} microbatches has {under_way} steps under way, and \
         {MOST_UNDER_WAY} are the most: set 'pipeline.update_every' to {least} or more",
        step.microbatches
    )))
}
