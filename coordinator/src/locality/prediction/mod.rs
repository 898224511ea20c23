//! The prediction of a run: every message that its links and its control planes carry, as a pure function of the
//! specifications of its stages, its lanes and its course.

mod budget;
mod halves;
mod links;
mod report;
#[cfg(test)]
mod tests;

pub use budget::Budget;

use crate::data::microbatches;
use crate::driver::StepLanes;
use crate::prepare::{Item, Lanes};
use crate::run_error::RunError;
use proto::control::{Align, Measure, RunLane};
use proto::lane::Lane;
use proto::ledger::LinkRecord;
use proto::microbatch::Phase;
use proto::spec::graph::LayerSpec;
use proto::spec::stage::{Half, StageSpec};
use std::ops::Range;
use std::sync::Arc;

/// The prediction of a run.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// One record for each phase and form in each direction of each link: the links of the ring from the first to the
    /// last, and then those between the halves of stages that are split. The chains are empty, because no plan knows
    /// the numbers that cross.
    pub links: Vec<LinkRecord>,
    /// One budget for each kind of message in each direction of each control plane: by stage, then by backward node.
    pub control: Vec<Budget>,
    /// Training steps.
    pub steps: u64,
}

impl Prediction {
    /// The prediction of a run over `stages` that does `items`. The nodes hold up to `held` snapshots of other runs.
    ///
    /// # Errors
    /// A stage whose shapes do not fit, or a minibatch that no pipeline has.
    pub fn of(
        stages: &[StageSpec],
        lanes: &mut Lanes,
        items: impl Iterator<Item = Item>,
        held: usize,
    ) -> Result<Self, RunError> {
        let mut updates = 0;
        let work = items.map(|item| Work::of(item, lanes, &mut updates)).collect::<Result<Vec<_>, _>>()?;
        let mut links = links::predict(stages, &work).map_err(RunError::internal)?;
        for spec in stages {
            links.extend(halves::predict(spec, &work).map_err(RunError::internal)?);
        }
        let control = budget::predict(stages, &work, &links, held).map_err(RunError::internal)?;
        Ok(Self { links, control, steps: updates })
    }
}

/// An item of the run's course, with everything that decides its messages.
enum Work {
    Minibatch(Minibatch),
    Snapshot,
    Align(Align),
}

/// A minibatch, as all stages see it.
struct Minibatch {
    phase: Phase,
    step: u64,
    /// N.
    samples: u32,
    /// The samples of each microbatch.
    parts: Vec<Range<usize>>,
    /// The actions of each stage on the microbatches of the minibatch.
    lanes: Arc<[Lane]>,
    /// The command for each stage.
    commands: Vec<RunLane>,
    /// What the nodes measure of the layers.
    measure: Measure,
    /// Whether every process keeps a timeline of the step.
    timeline: bool,
    /// The number of updates after the minibatch.
    updates: u64,
}

impl Work {
    fn of(item: Item, lanes: &mut Lanes, updates: &mut u64) -> Result<Self, RunError> {
        let minibatch = match item {
            Item::Snapshot { .. } => return Ok(Work::Snapshot),
            Item::Align(align) => return Ok(Work::Align(align)),
            Item::Minibatch(minibatch) => minibatch,
        };
        let (phase, samples) = (minibatch.phase, minibatch.indices.len());
        *updates += u64::from(phase == Phase::Train);
        let parts = microbatches(samples, minibatch.microbatches as usize);
        let StepLanes { told, own: lanes } = lanes.of(&minibatch)?;
        let commands = told.iter().map(|lane| minibatch.work(lane)).collect();
        let (step, measure, timeline, updates) =
            (minibatch.step, minibatch.measure, minibatch.timeline, *updates);
        Ok(Work::Minibatch(Minibatch {
            phase,
            step,
            samples: samples as u32,
            parts,
            lanes,
            commands,
            measure,
            timeline,
            updates,
        }))
    }
}

/// The minibatches among `work`.
fn minibatches(work: &[Work]) -> impl Iterator<Item = &Minibatch> {
    work.iter().filter_map(|work| match work {
        Work::Minibatch(minibatch) => Some(minibatch),
        Work::Snapshot | Work::Align(_) => None,
    })
}

/// The weight layers whose B a node has, in order: the node reports the values that their rules read.
pub(super) fn learning(node: &StageSpec) -> impl Iterator<Item = &LayerSpec> {
    let split = node.half == Half::Backward;
    node.layers.iter().filter(move |layer| layer.op.is_weight() && layer.split == split)
}
