//! The subject of an evaluation: a saved state of a run, and the nodes that samples go through.

use super::{ELSEWHERE, Order};
use crate::config;
use crate::driver::{self, Event, FailureCollector, IN_FLIGHT, Outcome};
use crate::node::{Nodes, Rooms, temporary};
use crate::prepare::{Placement, Prepared};
use crate::record::{CONFIG, DataMark, RunIdentity, share};
use crate::run::drive::{setup, submit};
use crate::run::signals;
use crate::run_error::{Cause, RunError};
use proto::spec::stage::StageSpec;
use std::fs::File;
use std::path::Path;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The keys of the test set, by which another one can be evaluated.
const TEST_SET: [&str; 4] = ["data.test", "data.test_labels", "data.test_numbering", "data.synsets"];
/// The other keys that an evaluation can set: none of them changes what it measures, since the data is checked by its
/// checksum.
const PLACES: [&str; 5] =
    ["data.path", "data.max_broken", "node.device", "network.connect_deadline", "network.message_deadline"];

/// The keys that an evaluation can set.
pub fn settable() -> impl Iterator<Item = &'static str> {
    PLACES.into_iter().chain(TEST_SET)
}

/// Whether `sets` name another test set than the run's.
///
/// # Errors
/// A key that cannot be set.
fn another_test_set(sets: &[String]) -> Result<bool, RunError> {
    let sets = config::assignments(sets).map_err(RunError::configuration)?;
    if let Some((key, _)) = sets.iter().find(|(key, _)| !settable().any(|name| name == key)) {
        return Err(RunError::configuration(format!(
            "'{key}' in --set is the run's own: of its keys, evaluate sets only {}",
            settable().collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(sets.iter().any(|(key, _)| TEST_SET.contains(&key.as_str())))
}

/// A saved state of a run.
pub(super) struct Subject<'a> {
    run_dir: &'a Path,
    placement: Placement,
    /// Updates of the state.
    pub step: u64,
    /// The run's configuration and data; its test set is what is sent.
    pub prepared: Prepared,
    stages: Vec<StageSpec>,
    stop: CancellationToken,
    /// The run's folder, locked together with other readers.
    _shared: File,
}

impl<'a> Subject<'a> {
    /// Finds the state, and opens the run's data.
    ///
    /// # Errors
    /// A folder without a run, a key that cannot be set, data of another run, or a missing state.
    pub async fn open(order: Order<'a>) -> Result<Self, RunError> {
        let Order { run_dir, which, placement, sets, environment } = order;
        let stop = signals::listen(signals::GIVING_UP)?;
        let another = another_test_set(sets)?;
        // A folder without a run is refused before it is locked.
        RunIdentity::read(run_dir, ELSEWHERE)?;
        let _shared = share(run_dir)?;
        let step = which.of(run_dir)?;
        let config =
            config::load(&run_dir.join(CONFIG), sets, environment).map_err(RunError::configuration)?;
        let prepared = signals::unless_stopped(&stop, || Prepared::new(config)).await?;
        let identity = RunIdentity::read(run_dir, ELSEWHERE)?;
        if let Some(mark) = &identity.data {
            mark.check(&DataMark::of(&prepared.sets), !another, &prepared.config, run_dir)?;
        }
        let identity = identity.for_evaluation()?;
        // Before the first update a run has no snapshot of its own: its nodes begin as they did.
        let restore = Some(step).filter(|step| *step > 0);
        let begin = identity.begin.as_ref();
        let stages = prepared.stages(&identity.id, identity.incarnation, restore, begin)?;
        Ok(Self { run_dir, placement, step, prepared, stages, stop, _shared })
    }

    /// Sends the test set through the state exactly once, and hands out each minibatch in order. Local nodes write their
    /// logs into a temporary folder, which is removed unless a node failed.
    ///
    /// # Errors
    /// A node that fails, or an interrupt.
    pub async fn pass(&self, each: impl FnMut(Outcome)) -> Result<(), RunError> {
        let local = matches!(self.placement, Placement::Local);
        let logs = local.then(|| temporary("evaluate")).transpose()?;
        let rooms = Rooms::to_read(self.run_dir, logs.as_ref().map_or(self.run_dir, TempDir::path));
        let result = self.through(&rooms, each).await;
        if matches!(&result, Err(failure) if failure.cause.is_of_a_node()) {
            // The sentence names a node's log.
            let _ = logs.map(TempDir::keep);
        }
        result
    }

    /// Finds the nodes and sends the test set through them, unless the command is stopped.
    async fn through(&self, rooms: &Rooms, each: impl FnMut(Outcome)) -> Result<(), RunError> {
        let failures = FailureCollector::default();
        // An evaluation sends no error back, so it needs W alone.
        let roles: Vec<_> = self.stages.iter().map(StageSpec::role).collect();
        let settings = &self.prepared.config.node;
        let interrupted =
            || RunError::new(Cause::Interrupted, "the evaluation was interrupted: nothing was changed");
        let nodes = tokio::select! {
            nodes = Nodes::find(&self.placement, &roles, settings, rooms, &failures) => nodes?,
            () = self.stop.cancelled() => return Err(interrupted()),
        };
        let security = self.placement.security();
        let setup = setup(&self.prepared, self.stages.clone(), nodes.addresses(), security);
        let result = tokio::select! {
            result = self.send(setup, failures, each) => result,
            () = self.stop.cancelled() => Err(interrupted()),
        };
        nodes.stop().await;
        result
    }

    async fn send(
        &self,
        setup: driver::Setup,
        failures: FailureCollector,
        mut each: impl FnMut(Outcome),
    ) -> Result<(), RunError> {
        let (course, mut lanes) = (self.prepared.course(), self.prepared.lanes());
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
                    Some(Event::Done(outcome)) => each(outcome),
                    Some(Event::Saved(_) | Event::Aligned(_)) => {}
                    None => break,
                }
            }
        }
        driver.close().await;
        Ok(())
    }
}
