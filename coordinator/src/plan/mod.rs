//! The plan of a run: a prediction as a table for people, and as JSON.
//!
//! The plan follows from the network, its cuts and the workload: parameters, multiply-adds, traffic, memory, and,
//! by rates or measured times, the time of a step and its bubble.

mod backward;
mod host;
mod schedules;
mod shared;
mod table;
#[cfg(test)]
mod tests;
mod warnings;

use std::ops::Range;

use proto::lane::Lane;
use proto::spec::graph::Value;
use proto::spec::graph::{LayerSpec, Op};
use serde::Serialize;

use crate::model::Network;
use crate::model::profile::FLOAT;
use crate::partition::{Estimator, Memory, PartitionError, Rates, Workload};
use crate::pipeline::timing::{Costs, Pace, TimingError, pace};
use crate::pipeline::{Held, Schedule, draw};
pub use backward::PlannedBackward;
pub use host::{Host, Needs};
pub use schedules::PlannedSchedule;
pub use shared::Shared;
pub use table::table;

/// The prediction of one run. Serialised, it is what `plan --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Trained numbers of the network, without B.
    pub parameters: u64,
    /// The stages, stage 0 (the nearest to the input) first.
    pub stages: Vec<PlannedStage>,
    /// The training lane of every stage: `F0`, `E0`, `G0`, …, `U`.
    pub lanes: Vec<Vec<String>>,
    /// The share of all stages' time in which they wait, 0 to 1.
    pub bubble: f64,
    /// Seconds of one step of N samples among consecutive steps.
    pub step_seconds: f64,
    /// N over those seconds.
    pub images_per_s: f64,
    /// N, samples of a minibatch.
    pub batch: u32,
    /// M, its microbatches.
    pub microbatches: u32,
    /// The schedule's name in a configuration.
    pub schedule: String,
    /// The predictions of all schedules for these stages, the configured one first.
    pub schedules: Vec<PlannedSchedule>,
    /// The longest delay of a stage under the asynchronous schedule, in updates.
    #[serde(skip)]
    longest_delay: f64,
    /// Whether the layers' times were measured; they then replace the first two of the rates.
    pub measured: bool,
    /// The assumed rates.
    pub rates: Rates,
    /// A sentence on the drains of an asynchronous pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drains: Option<String>,
    /// Warnings, one sentence each.
    pub warnings: Vec<String>,
    /// The prediction for nodes that share this host, if times were measured on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<Shared>,
    /// The host on which the plan was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// The lanes as [`draw::lanes`] draws them.
    #[serde(skip)]
    drawing: String,
}

/// The prediction of one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStage {
    /// The stage's index, from 0.
    pub stage: u32,
    /// The names of its layers.
    pub layers: Vec<String>,
    /// Trained numbers, without B.
    pub parameters: u64,
    /// Multiply-adds of one sample's forward pass.
    pub macs: u64,
    /// Bytes of activations that the stage sends above, for one sample.
    pub bytes_forward: u64,
    /// Bytes of errors that the stage sends below, for one sample; none from stage 0.
    pub bytes_backward: u64,
    /// The most microbatches whose activations the stage holds at once.
    pub held: u32,
    /// The delay between the forward and the backward pass of a microbatch, in updates, where no step is flushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<f64>,
    /// The predicted peak of the stage's process, in bytes.
    pub memory_bytes: u64,
    /// The predicted peak by its parts.
    pub memory: Memory,
    /// The measured peak of the stage's process, in bytes, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_memory_bytes: Option<u64>,
    /// Seconds of one step in which the stage computes.
    pub compute_s: f64,
    /// Seconds of one step for which the stage's activations occupy the link above.
    pub link_forward_s: f64,
    /// Seconds of one step for which the stage's errors occupy the link below.
    pub link_backward_s: f64,
    /// The stage's backward node, if its W and B are on two hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward: Option<PlannedBackward>,
}

/// The reason why there is no plan, in one sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A batch norm would see a single value per channel, and would turn every such value into 0.
    #[error(
        "layer '{layer}' would normalise one value per channel, a microbatch of one sample on one pixel: set \
         pipeline.microbatches, {microbatches}, to at most half of train.batch"
    )]
    Norm {
        /// The norm.
        layer: String,
        /// M.
        microbatches: u32,
    },
    /// No pipeline has this size, or the network cannot be cut.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// The time cannot be predicted.
    #[error(transparent)]
    Timing(#[from] TimingError),
}

/// Predicts the run of `network` cut at `ranges`, by the estimator's workload.
///
/// # Errors
/// A batch norm over one value per channel, or a size that no pipeline has.
pub fn plan(network: &Network, ranges: &[Range<usize>], estimator: &Estimator) -> Result<Plan, PlanError> {
    let workload = estimator.workload();
    check_norms(network, estimator)?;
    let lanes = workload.lanes(ranges.len() as u32)?;
    let costs = costs(network, ranges, estimator);
    let pace = pace_of(workload, ranges.len(), &costs)?;
    let shape = workload.asynchronous_shape(ranges.len() as u32)?;
    let asynchronous = workload.schedule == Schedule::Asynchronous;
    let stage = |(index, range): (usize, &Range<usize>)| {
        let held = Held::of(&lanes[index]);
        let memory = estimator.stage(range.clone(), &held).memory;
        let layers = &estimator.profile().layers()[range.clone()];
        let times = f64::from(workload.step_microbatches());
        PlannedStage {
            stage: index as u32,
            layers: network.layers[range.clone()].iter().map(|layer| layer.name.clone()).collect(),
            parameters: layers.iter().map(|layer| layer.parameters).sum(),
            macs: layers.iter().map(|layer| layer.macs).sum(),
            bytes_forward: estimator.bytes(range.end)[0],
            bytes_backward: estimator.bytes(range.start)[1],
            held: lanes[index].held(),
            delay: asynchronous.then(|| shape.delay(index as u32)),
            memory_bytes: memory.total(),
            memory,
            measured_memory_bytes: None,
            compute_s: pace.busy[index],
            link_forward_s: times * costs.links[index + 1].forward,
            link_backward_s: times * costs.links[index].error,
            backward: backward::planned(network, (index, range.clone()), &held, estimator, &pace),
        }
    };
    let stages: Vec<PlannedStage> = ranges.iter().enumerate().map(stage).collect();
    let step_seconds = pace.step;
    let Workload { schedule, rates, .. } = *workload;
    let (batch, microbatches) = (workload.step_samples(), workload.step_microbatches());
    let plan = Plan {
        parameters: stages.iter().map(|stage| stage.parameters).sum(),
        stages,
        lanes: lanes.iter().map(Lane::words).collect(),
        bubble: pace.bubble(),
        step_seconds,
        images_per_s: f64::from(batch) / step_seconds,
        batch,
        microbatches,
        schedule: schedule.to_string(),
        schedules: schedules::planned(ranges, estimator, &costs)?,
        longest_delay: shape.delay(0),
        measured: estimator.is_measured(),
        rates,
        drains: None,
        warnings: Vec::new(),
        here: None,
        host: None,
        drawing: draw::lanes(&lanes),
    };
    Ok(Plan { warnings: warnings::of(&plan), ..plan })
}

impl Plan {
    /// The plan with the measured peaks of its stages' processes, in bytes.
    pub fn with_peaks(mut self, peaks: &[Option<u64>]) -> Self {
        for (stage, peak) in self.stages.iter_mut().zip(peaks) {
            stage.measured_memory_bytes = *peak;
        }
        self
    }
}

/// The pace of `stages` stages, with the drains of an asynchronous pipeline.
fn pace_of(workload: &Workload, stages: usize, costs: &Costs) -> Result<Pace, PlanError> {
    let pace = pace(&workload.strides(stages as u32)?, costs)?;
    let drains = workload.schedule == Schedule::Asynchronous && workload.between_drains > 0;
    Ok(if drains { pace.draining(workload.between_drains) } else { pace })
}

/// The costs of a pipeline of hosts with cores of their own.
fn costs(network: &Network, ranges: &[Range<usize>], estimator: &Estimator) -> Costs {
    let cuts = ranges.iter().map(|range| range.start).chain([network.layers.len()]);
    Costs {
        stages: ranges.iter().map(|range| estimator.actions(range.clone())).collect(),
        links: cuts.map(|at| estimator.link(at)).collect(),
        loss: loss_seconds(network, estimator),
        backward: ranges.iter().map(|range| estimator.backward(range.clone())).collect(),
        at_once: None,
    }
}

/// The time of the loss: the coordinator reads and writes the logits a few times.
fn loss_seconds(network: &Network, estimator: &Estimator) -> f64 {
    let logits = estimator.profile().activations(network.layers.len()) * estimator.workload().microbatch();
    (4 * logits * FLOAT) as f64 / estimator.workload().rates.bytes_per_second
}

/// Checks every norm with the smallest microbatch, since it has the fewest values.
fn check_norms(network: &Network, estimator: &Estimator) -> Result<(), PlanError> {
    let Workload { batch, microbatches, .. } = *estimator.workload();
    let single = |(layer, value): &(&LayerSpec, &Value)| {
        matches!(layer.op, Op::BatchNorm { .. }) && value.shape.iter().skip(1).product::<u64>() == 1
    };
    let values = network.values().map_err(PartitionError::from)?;
    match network.layers.iter().zip(&values).find(single) {
        Some((layer, _)) if batch / microbatches == 1 => {
            Err(PlanError::Norm { layer: layer.name.clone(), microbatches })
        }
        _ => Ok(()),
    }
}
