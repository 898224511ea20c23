//! Driving: puts the course of a run into the pipeline, and what comes out into the recorder.

use super::course::{Course, Item};
use super::prepare::{Lanes, Prepared};
use super::recorder::Recorder;
use crate::driver::{self, Driver, FailureCollector, Minibatch, NodeAddress, Setup};
use crate::run_error::{Cause, RunError};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Minibatches, evaluations and snapshots that are in the pipeline at once: enough that the first stage
/// always has its next inputs, few enough that an interrupt ends soon.
const IN_FLIGHT: usize = 3;

/// Trains from the snapshot after `done` updates (0: from the seed) to the end of the run.
///
/// # Errors
/// A node's failure; or [`Cause::Interrupted`] where `stop` came first, after the nodes have saved.
pub async fn drive(
    prepared: &Prepared,
    nodes: &[NodeAddress],
    done: u64,
    board: &FailureCollector,
    stop: &CancellationToken,
    recorder: &mut Recorder,
) -> Result<(), RunError> {
    let restore = Some(done).filter(|done| *done > 0);
    let identity = recorder.folder().identity();
    let stages = prepared.stages(&identity.id, identity.incarnation, restore)?;
    let opening = driver::open(setup(prepared, stages, nodes), board.clone());
    let (mut driver, _) = unless_stopped(stop, recorder.folder().path(), opening).await?;
    recorder.say(&format!(
        "{} stages connected; run folder {}",
        nodes.len(),
        recorder.folder().path().display()
    ));
    let mut lanes = Lanes::new(&prepared.config, nodes.len());
    let mut course = Course::new(prepared, done);
    while !stop.is_cancelled() {
        let Some(item) = course.next() else { break };
        if driver.pending() >= IN_FLIGHT {
            take(&mut driver, recorder).await?;
        }
        match item {
            Item::Snapshot { step } => {
                // What nodes keep beside it is known once they all have the one before.
                while driver.saving() {
                    take(&mut driver, recorder).await?;
                }
                driver.snapshot(recorder.keep(step)).await?;
            }
            Item::Align(steps) => driver.align(steps).await?,
            Item::Minibatch(minibatch) => submit(&mut driver, &mut lanes, minibatch).await?,
        }
    }
    while driver.pending() > 0 {
        take(&mut driver, recorder).await?;
    }
    // Also after the last step: its snapshot and its evaluation may be what is missing.
    let interrupted = course.next().is_some();
    // Before the first update there is no state that the seed does not give.
    if interrupted && recorder.steps > 0 {
        driver.snapshot(recorder.keep(recorder.steps)).await?;
        take(&mut driver, recorder).await?;
    }
    driver.close().await;
    if interrupted {
        let folder = recorder.folder().path();
        return Err(RunError::new(
            Cause::Interrupted,
            leaving(recorder.steps, prepared.total_steps(), folder),
        ));
    }
    Ok(())
}

/// Waits for what comes before the first step; nothing there is worth waiting for once `stop` has come.
///
/// # Errors
/// What `work` says; or [`Cause::Interrupted`], where `stop` came first.
pub async fn unless_stopped<T>(
    stop: &CancellationToken,
    folder: &Path,
    work: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::new(
            Cause::Interrupted,
            format!(
                "interrupted before all nodes were connected; what they had saved is still there (run folder {}): --resume auto goes on",
                folder.display()
            ),
        )),
        done = work => done,
    }
}

/// What an interrupted run says.
fn leaving(step: u64, total: u64, folder: &Path) -> String {
    let folder = folder.display();
    match step {
        0 => format!(
            "interrupted before the first update; nothing was trained yet (run folder {folder}): --resume auto starts from the beginning"
        ),
        step => format!(
            "interrupted after step {step} of {total}; the nodes have saved their state (run folder {folder}): --resume auto goes on from there"
        ),
    }
}

/// What the driver must know.
pub fn setup(
    prepared: &Prepared,
    stages: Vec<proto::spec::stage::StageSpec>,
    nodes: &[NodeAddress],
) -> Setup {
    let config = &prepared.config;
    Setup {
        stages,
        nodes: nodes.to_vec(),
        sets: prepared.sets.clone(),
        classes: config.model.classes as usize,
        smoothing: config.train.label_smoothing,
        connect_deadline: Duration::from_secs_f64(config.network.connect_deadline),
        message_deadline: Duration::from_secs_f64(config.network.message_deadline),
    }
}

/// Puts a minibatch into the pipeline.
pub async fn submit(driver: &mut Driver, lanes: &mut Lanes, minibatch: Minibatch) -> Result<(), RunError> {
    let lanes = lanes.of(minibatch.phase, minibatch.microbatches)?;
    driver.submit(minibatch, &lanes).await
}

async fn take(driver: &mut Driver, recorder: &mut Recorder) -> Result<(), RunError> {
    match driver.next().await? {
        Some(event) => recorder.record(event),
        None => Ok(()),
    }
}
