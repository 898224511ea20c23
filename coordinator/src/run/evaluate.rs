//! `coordinator evaluate`: the test set through a state of a run, exactly once.

use super::course::Course;
use super::drive::{setup, submit};
use super::folder::{self, RunIdentity};
use super::interrupt;
use super::place::{Nodes, Placement};
use super::prepare::{Lanes, Prepared};
use super::summary::Summary;
use crate::config::{self, Environment};
use crate::driver::{self, Event, FailureCollector};
use crate::run_error::{Cause, RunError};
use serde::Serialize;
use std::path::Path;
use std::str::FromStr;

/// Which state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The final one.
    Last,
    /// The one with the best test accuracy.
    Best,
    /// The one after so many updates.
    Step(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Which::Last),
            "best" => Ok(Which::Best),
            step => step
                .parse()
                .map(Which::Step)
                .map_err(|_| format!("'{step}' is no step: a number, last or best is")),
        }
    }
}

impl Which {
    /// Its updates, in the run in `run_dir`; only a run that has ended knows which state is the last or the best.
    fn of(self, run_dir: &Path) -> Result<u64, RunError> {
        let word = match self {
            Which::Step(step) => return Ok(step),
            Which::Last => "last",
            Which::Best => "best",
        };
        if !run_dir.join(folder::SUMMARY).exists() {
            let dir = run_dir.display();
            return Err(RunError::configuration(format!(
                "the run in {dir} has not ended, so it has no {word} state yet: go on with coordinator train --config {dir}/config.toml --run-dir {dir} --resume auto (and --local or --nodes), or give --step a number"
            )));
        }
        let summary: Summary = folder::read(run_dir, folder::SUMMARY)?;
        let missing = || {
            RunError::configuration(
                "the run kept no best snapshot: train with snapshot.best = true, or give --step a number",
            )
        };
        match self {
            Which::Best => summary.best_step.ok_or_else(missing),
            _ => Ok(summary.steps),
        }
    }
}

/// What an evaluation finds.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluate {
    /// Updates that the state has seen.
    pub step: u64,
    /// Images of the test set.
    pub samples: usize,
    /// Mean loss, without label smoothing.
    pub test_loss: f64,
    /// Fraction whose class came first.
    pub test_top1: f64,
    /// Fraction whose class was among the first five.
    pub test_top5: f64,
}

/// Evaluates the run in `run_dir` on nodes at `place`, which keep its state.
///
/// # Errors
/// A folder that holds no run, a state that is not there, or a node that fails.
pub async fn evaluate(
    run_dir: &Path,
    which: Which,
    place: Placement,
    environment: &Environment<'_>,
) -> Result<Evaluate, RunError> {
    let stop = interrupt::listen();
    // Says that there is no run; only who has its folder counts its starts.
    RunIdentity::read(run_dir)?;
    let _owned = folder::own(run_dir)?;
    let step = which.of(run_dir)?;
    let config =
        config::load(&run_dir.join("config.toml"), &[], environment).map_err(RunError::configuration)?;
    let prepared = Prepared::new(config)?;
    let identity = RunIdentity::read(run_dir)?;
    if let Some(mark) = &identity.data {
        mark.check(&prepared.data_mark(), true, &prepared.config, run_dir)?;
    }
    let identity = identity.next(run_dir)?;
    let stages = prepared.stages(&identity.id, identity.incarnation, Some(step))?;
    let board = FailureCollector::default();
    let interrupted =
        || RunError::new(Cause::Interrupted, "the evaluation was interrupted: nothing was changed");
    let nodes = tokio::select! {
        nodes = Nodes::find(&place, &prepared, run_dir, &board) => nodes?,
        () = stop.cancelled() => return Err(interrupted()),
    };
    let addresses = nodes.addresses().to_vec();
    let result = tokio::select! {
        result = run(&prepared, setup(&prepared, stages, &addresses), &board) => result,
        () = stop.cancelled() => Err(interrupted()),
    };
    nodes.stop().await;
    result.map(|evaluate| Evaluate { step, ..evaluate })
}

async fn run(
    prepared: &Prepared,
    setup: driver::Setup,
    board: &FailureCollector,
) -> Result<Evaluate, RunError> {
    let mut lanes = Lanes::new(&prepared.config, prepared.ranges.len());
    let (mut driver, _) = driver::open(setup, board.clone()).await?;
    let mut total = Evaluate { step: 0, samples: 0, test_loss: 0.0, test_top1: 0.0, test_top5: 0.0 };
    let mut minibatches = Course::evaluation(prepared, 0).into_iter();
    loop {
        let next = minibatches.next();
        let ended = next.is_none();
        if let Some(minibatch) = next {
            submit(&mut driver, &mut lanes, minibatch).await?;
        }
        if driver.pending() >= 3 || ended {
            match driver.next().await? {
                Some(Event::Done(outcome)) => {
                    let n = outcome.samples as f64;
                    total.samples += outcome.samples;
                    total.test_loss += outcome.loss * n;
                    total.test_top1 += outcome.top1 * n;
                    total.test_top5 += outcome.top5 * n;
                }
                Some(Event::Saved(_) | Event::Aligned(_)) => {}
                None => break,
            }
        }
    }
    driver.close().await;
    let n = total.samples.max(1) as f64;
    let [test_loss, test_top1, test_top5] =
        [total.test_loss, total.test_top1, total.test_top5].map(|sum| sum / n);
    Ok(Evaluate { test_loss, test_top1, test_top5, ..total })
}
