//! `coordinator evaluate`: sends the test set through a state of a run, exactly once.

use super::drive::{setup, submit};
use super::signals;
use super::supervisor::IN_FLIGHT;
use crate::config::{self, Environment};
use crate::driver::{self, Event, FailureCollector};
use crate::node::{Nodes, Rooms, temporary};
use crate::prepare::{Placement, Prepared};
use crate::record::{
    CONFIG, DataMark, Evaluation, Pass, RunIdentity, SUMMARY, Summary, files, or_dash, share,
};
use crate::run_error::{Cause, RunError};
use proto::spec::stage::StageSpec;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The advice for a run that cannot be read.
const ELSEWHERE: &str = "give --run the folder of a run";

/// The choice of a run's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The final state.
    Last,
    /// The state with the best test accuracy.
    Best,
    /// The state after this many updates.
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
    /// The updates of the chosen state of the run in `run_dir`. The last and the best state are known only for a
    /// run that has ended.
    fn of(self, run_dir: &Path) -> Result<u64, RunError> {
        let word = match self {
            Which::Step(step) => return Ok(step),
            Which::Last => "last",
            Which::Best => "best",
        };
        if !run_dir.join(SUMMARY).exists() {
            let dir = run_dir.display();
            return Err(RunError::configuration(format!(
                "the run in {dir} has not ended, so it has no {word} state yet: go on with coordinator train --config {dir}/config.toml --run-dir {dir} --resume auto (and --local or --nodes), or give --step a number"
            )));
        }
        let summary: Summary = files::read(run_dir, SUMMARY, ELSEWHERE)?;
        let (step, why) = match self {
            Which::Best => (
                summary.best_step,
                "the run kept no best snapshot: train with snapshot.best = true, or give --step a number",
            ),
            Which::Last | Which::Step(_) => {
                (summary.steps, "the run's summary.json names no last step: give --step a number")
            }
        };
        step.ok_or_else(|| RunError::configuration(why))
    }
}

/// The result of an evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluated {
    /// Updates of the state.
    pub step: u64,
    /// The number of images in the test set.
    pub samples: usize,
    /// Mean loss, without label smoothing.
    pub test_loss: Option<f64>,
    /// Fraction of the images whose label ranks first.
    pub test_top1: Option<f64>,
    /// Fraction of the images whose label ranks among the first five.
    pub test_top5: Option<f64>,
}

impl fmt::Display for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |fraction| or_dash(fraction, |fraction| format!("{:.2} %", 100.0 * fraction));
        write!(
            f,
            "after {} updates: test accuracy {} (top 5: {}), loss {}, {} images",
            self.step,
            percent(self.test_top1),
            percent(self.test_top5),
            or_dash(self.test_loss, |loss| format!("{loss:.4}")),
            self.samples
        )
    }
}

/// The keys that an evaluation can set: none of them changes what it measures. The data is checked by its checksum.
pub const SETTABLE: [&str; 3] = ["data.path", "network.connect_deadline", "network.message_deadline"];

/// Refuses `sets` of any other key.
fn check_sets(sets: &[String]) -> Result<(), RunError> {
    let sets = config::assignments(sets).map_err(RunError::configuration)?;
    match sets.iter().find(|(key, _)| !SETTABLE.contains(&key.as_str())) {
        Some((key, _)) => Err(RunError::configuration(format!(
            "'{key}' in --set is the run's own: of its keys, evaluate sets only {}",
            SETTABLE.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Evaluates the run in `run_dir` on nodes at `placement`, which hold its state. `sets` are `key=value`s above the
/// run's configuration. Nothing is written into the folder, which may be on a read-only file system: local nodes write
/// their logs into a temporary folder, which is removed unless a node failed.
///
/// # Errors
/// A folder without a run, a key that cannot be set, a missing state, or a node that fails.
pub async fn evaluate(
    run_dir: &Path,
    which: Which,
    placement: Placement,
    sets: &[String],
    environment: &Environment<'_>,
) -> Result<Evaluated, RunError> {
    let stop = signals::listen()?;
    check_sets(sets)?;
    // A folder without a run is refused before it is locked.
    RunIdentity::read(run_dir, ELSEWHERE)?;
    let _shared = share(run_dir)?;
    let step = which.of(run_dir)?;
    let config = config::load(&run_dir.join(CONFIG), sets, environment).map_err(RunError::configuration)?;
    let prepared = signals::unless_stopped(&stop, || Prepared::new(config)).await?;
    let identity = RunIdentity::read(run_dir, ELSEWHERE)?;
    if let Some(mark) = &identity.data {
        mark.check(&DataMark::of(&prepared.sets), true, &prepared.config, run_dir)?;
    }
    let identity = identity.for_evaluation()?;
    let stages = prepared.stages(&identity.id, identity.incarnation, Some(step))?;
    let logs = matches!(placement, Placement::Local).then(|| temporary("evaluate")).transpose()?;
    let rooms = Rooms::to_read(run_dir, logs.as_ref().map_or(run_dir, TempDir::path));
    let result = pass(&prepared, &placement, stages, &rooms, &stop).await;
    if matches!(&result, Err(failure) if failure.cause.is_of_a_node()) {
        // The sentence names a node's log.
        let _ = logs.map(TempDir::keep);
    }
    let Evaluation { loss, top1, top5, samples, .. } = result?.complete(step, 0);
    Ok(Evaluated { step, samples, test_loss: loss, test_top1: top1, test_top5: top5 })
}

/// Finds the nodes of `stages` and evaluates on them, unless `stop` is cancelled.
async fn pass(
    prepared: &Prepared,
    placement: &Placement,
    stages: Vec<StageSpec>,
    rooms: &Rooms,
    stop: &CancellationToken,
) -> Result<Pass, RunError> {
    let failures = FailureCollector::default();
    // An evaluation sends no error back, so it needs W alone.
    let (roles, threads) =
        (stages.iter().map(StageSpec::role).collect::<Vec<_>>(), prepared.config.node.threads);
    let interrupted =
        || RunError::new(Cause::Interrupted, "the evaluation was interrupted: nothing was changed");
    let nodes = tokio::select! {
        nodes = Nodes::find(placement, &roles, threads, rooms, &failures) => nodes?,
        () = stop.cancelled() => return Err(interrupted()),
    };
    let setup = setup(prepared, stages, nodes.addresses(), placement.security());
    let result = tokio::select! {
        result = run(prepared, setup, failures) => result,
        () = stop.cancelled() => Err(interrupted()),
    };
    nodes.stop().await;
    result
}

/// Sends the test set through a pipeline, once.
async fn run(
    prepared: &Prepared,
    setup: driver::Setup,
    failures: FailureCollector,
) -> Result<Pass, RunError> {
    let (course, mut lanes, mut pass) = (prepared.course(), prepared.lanes(), Pass::default());
    let (mut driver, _) = driver::open(setup, failures).await?;
    let mut minibatches = course.evaluation(0);
    loop {
        let next = minibatches.next();
        let ended = next.is_none();
        if let Some(minibatch) = next {
            submit(&mut driver, &mut lanes, minibatch).await?;
        }
        if ended || driver.pending() >= IN_FLIGHT {
            match driver.next().await? {
                Some(Event::Done(outcome)) => pass.add(&outcome),
                Some(Event::Saved(_) | Event::Aligned(_)) => {}
                None => break,
            }
        }
    }
    driver.close().await;
    Ok(pass)
}
