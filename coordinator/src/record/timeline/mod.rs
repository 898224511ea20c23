//! `timeline.json`: one step of a run, on one clock: what every process did, and when every message went from one to
//! another.
//!
//! ```text
//! reports and journal of a step ─Clocks─▶ Aligned ─┬─▶ trace.json (every step, with --trace)
//!                                                  └─Keeper─▶ StepTimeline of one representative step
//! ```

mod aligned;
mod clocks;
mod keeper;
mod message;
mod recent;

pub use aligned::Aligned;
pub use keeper::Keeper;
pub use message::Message;

use crate::driver::Task;
use proto::link::Role;
use serde::{Deserialize, Serialize};

/// One step. All times are seconds of the coordinator's clock since the step began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTimeline {
    /// The step's number.
    pub step: u64,
    /// The step's duration: from the end of the step before at all stages to its own end, or else from its first action.
    pub seconds: f64,
    /// The cores that all nodes share; `None` where the nodes are not on the coordinator's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    /// The compute threads of each of these nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// The processes: the coordinator, then the stages in order, each followed by its backward node.
    pub lanes: Vec<ProcessLane>,
    /// The messages in the order in which they were sent.
    pub messages: Vec<Message>,
}

/// The work of one process in the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessLane {
    /// The process.
    pub of: Role,
    /// What was added to the times of the process's own clock.
    pub offset_s: f64,
    /// The largest error of it.
    pub uncertainty_s: f64,
    /// The actions of a node, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionTime>,
    /// The actions of other steps between the first and the last action of this one, in an asynchronous run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<ActionTime>,
    /// The coordinator's work on microbatches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskTime>,
}

/// The time of one action, or of a part of U that steps B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionTime {
    /// The action: `F0`, `E0`, `G0`, …, `U`; for another step `F7.0`.
    pub action: String,
    /// Whether it is a part of U that steps B, apart from the rest of U.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backward: bool,
    /// The beginning.
    pub start_s: f64,
    /// The end.
    pub end_s: f64,
}

/// The time of one piece of the coordinator's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskTime {
    /// The task.
    pub task: Task,
    /// The index of the microbatch.
    pub microbatch: u32,
    /// The beginning.
    pub start_s: f64,
    /// The end.
    pub end_s: f64,
}

impl ProcessLane {
    /// Whether the process is a stage itself: its lane counts for the bubble.
    pub fn is_stage(&self) -> bool {
        matches!(self.of, Role::Stage(_))
    }

    /// The seconds in which the process computes.
    pub fn busy(&self) -> f64 {
        self.actions.iter().map(|action| (action.end_s - action.start_s).max(0.0)).sum()
    }
}

impl StepTimeline {
    /// The lanes of the stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &ProcessLane> {
        self.lanes.iter().filter(|lane| lane.is_stage())
    }

    /// The share of all stages' time in the step in which they do not compute; 0 where nothing takes time.
    pub fn bubble(&self) -> f64 {
        let busy: f64 = self.stages().map(ProcessLane::busy).sum();
        let available = self.stages().count() as f64 * self.seconds;
        if available > 0.0 { (1.0 - busy / available).max(0.0) } else { 0.0 }
    }
}
