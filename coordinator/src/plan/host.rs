//! A plan compared with the host on which it is made: the cores and the memory that local nodes would share.

use super::{Plan, Shared};
use crate::model::Network;
use crate::model::profile::FLOAT;
use crate::partition::{Estimator, PartitionError};
use crate::pipeline::Held;
use proto::host::{Bytes, Memory};
use proto::lane::Lane;
use proto::link::QUEUE;
use serde::Serialize;
use std::ops::Range;

/// The microbatches of inputs that the coordinator holds at once: two that are loaded ahead, one that is sent, and
/// those in the queue between.
const HELD_INPUTS: u64 = 3 + QUEUE as u64;

/// The host of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// The cores that this process may use.
    pub cores: usize,
    /// Bytes of main memory that this process may use in all.
    pub memory_total: u64,
    /// Bytes of them that can still be taken.
    pub memory_available: u64,
    /// The source of the available bytes.
    pub memory_bound: String,
}

impl Host {
    /// The host of this process; `None` if the system does not tell.
    pub fn now() -> Option<Self> {
        let cores = std::thread::available_parallelism().ok()?.get();
        let Memory { total, available, bound } = Memory::now()?;
        Some(Self { cores, memory_total: total, memory_available: available, memory_bound: bound })
    }
}

/// The memory that a run takes on the coordinator's host, beyond the data, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The inputs on their way to the first stage.
    pub inputs: u64,
    /// All local nodes together; 0 without local nodes.
    pub nodes: u64,
}

impl Needs {
    /// The needs of the run of `network` cut at `ranges`, if its nodes are `local`.
    ///
    /// # Errors
    /// A size that no pipeline has.
    pub fn of(
        network: &Network,
        ranges: &[Range<usize>],
        estimator: &Estimator,
        local: bool,
    ) -> Result<Self, PartitionError> {
        let workload = estimator.workload();
        let lanes = workload.lanes(ranges.len() as u32)?;
        let node = |(range, lane): (&Range<usize>, &Lane)| {
            let held = &Held::of(lane);
            let backward = estimator.backward_memory(range.clone(), held).map_or(0, |memory| memory.total());
            estimator.stage(range.clone(), held).memory.total() + backward
        };
        let nodes = ranges.iter().zip(&lanes).map(node).sum();
        let size = network.input.shape.iter().product::<u64>() * FLOAT;
        let inputs = HELD_INPUTS * workload.microbatch() * size;
        Ok(Self { inputs, nodes: if local { nodes } else { 0 } })
    }

    /// The warning that `memory` does not suffice; `None` if it does.
    pub fn shortage(&self, memory: &Memory) -> Option<String> {
        let all = self.inputs + self.nodes;
        (all > memory.available).then(|| {
            format!(
                "the run takes about {} of memory here ({} of them its local nodes), but only {} are free in {}: \
                 the kernel may kill it, so give it more memory, fewer stages or smaller microbatches",
                Bytes(all),
                Bytes(self.nodes),
                Bytes(memory.available),
                memory.bound
            )
        })
    }
}

impl Plan {
    /// The plan with the host on which it is made.
    pub fn on(self, host: Option<Host>) -> Self {
        Self { host, ..self }
    }
}

/// One line on the host, with the needs of all nodes of the plan together.
pub(super) fn line(plan: &Plan) -> String {
    let Some(host) = &plan.host else { return String::new() };
    let predicted = |stage: &super::PlannedStage| {
        let backward = stage.backward.as_ref().map_or(0, |half| half.memory_bytes);
        stage.measured_memory_bytes.unwrap_or(stage.memory_bytes) + backward
    };
    let all = Bytes(plan.stages.iter().map(predicted).sum());
    let (free, bound) = (Bytes(host.memory_available), &host.memory_bound);
    let plural = if host.cores == 1 { "" } else { "s" };
    let shared = plan.here.map_or_else(String::new, |Shared { step_seconds, images_per_s, .. }| {
        format!("; on them together the nodes make {images_per_s:.1} images/s, a step in {step_seconds:.3} s")
    });
    format!(
        "all nodes take {all}; here are {} core{plural}, and {free} of memory are free in {bound}{shared}\n",
        host.cores
    )
}
