//! What the coordinator commands a configured node, and what the node reports.

use crate::error::ProtocolError;
use crate::lane::{Action, Lane};
use crate::microbatch::Phase;
use std::time::Duration;

/// The version of the protocol; both sides must speak the same one.
pub const PROTOCOL: u32 = 2;

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// The release of Neuropil.
    pub version: String,
    /// [`PROTOCOL`] of the node.
    pub protocol: u32,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Compute threads.
    pub threads: u32,
    /// Bytes of main memory on the host.
    pub memory_total: u64,
    /// Bytes of it that are free for use.
    pub memory_available: u64,
    /// Where the node listens for its neighbours.
    pub data_port: u16,
    /// The run that is under way.
    pub run: Option<String>,
    /// What the node could be restored to.
    pub snapshots: Vec<HeldSnapshot>,
}

/// A complete snapshot on a node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSnapshot {
    /// The run that it belongs to.
    pub run: String,
    /// Updates that it has seen.
    pub updates: u64,
}

/// What a node says once it is a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Trained numbers, B not counted.
    pub parameters: u64,
    /// Updates that the state has seen.
    pub updates: u64,
}

/// One command of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Opens the run: connect to the neighbour above.
    Start(Start),
    /// Follow a lane.
    Lane(RunLane),
    /// Write the state as of the last update, and then remove old snapshots but not these.
    Snapshot(Keep),
    /// Mirror steps before the first update.
    Align(Align),
}

/// Some mirror steps: B learns from the layers' own noise, and nothing else moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Align {
    /// How many are done.
    pub done: u64,
    /// How many are to follow.
    pub steps: u64,
}

/// Snapshots, by the updates that they have seen, which stay beside the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep(pub Vec<u64>);

/// How many snapshots a command can name to be kept.
pub const MAX_KEEP: usize = 16;

/// How a run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The run's name on the wire.
    pub run: String,
    /// Counts the starts of the same run.
    pub incarnation: u32,
    /// The data address of the neighbour above; `None` for the last stage.
    pub above: Option<String>,
    /// How long to try to reach it.
    pub connect_deadline: Duration,
    /// How long to wait for a neighbour's message.
    pub message_deadline: Duration,
}

/// A lane for one stage, and the minibatches that its steps are.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLane {
    /// What to do, in order.
    pub lane: Lane,
    /// One for each step of the lane.
    pub minibatches: Vec<Minibatch>,
}

/// The minibatch of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minibatch {
    /// N, its samples.
    pub samples: u32,
    /// Whether to measure the layers after the update.
    pub measure: bool,
}

/// The answer to a command, in the same order: one, or one for each step of a lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The link above is open.
    Started,
    /// A step is closed.
    Step(StepDone),
    /// The state is on disk.
    Snapshot(SnapshotDone),
    /// So many mirror steps are done.
    Aligned(u64),
}

/// What a stage did from the end of the step before to the end of this one.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDone {
    /// The minibatch's number within the phase.
    pub step: u64,
    /// Train or evaluate.
    pub phase: Phase,
    /// When each action computed.
    pub spans: Vec<Span>,
    /// Time spent computing.
    pub compute: Duration,
    /// Time spent waiting for neighbours' messages.
    pub wait: Duration,
    /// Time spent making messages and handing them to the links, while these have no room as well.
    pub send: Duration,
    /// Payload bytes sent above.
    pub bytes_forward: u64,
    /// Payload bytes sent below.
    pub bytes_backward: u64,
    /// Whether every output was finite.
    pub finite: bool,
    /// Updates that the stage has made since the seed, all starts together.
    pub updates: u64,
    /// The weight layers, where they were measured.
    pub layers: Vec<LayerMeasure>,
}

/// When one action computed, in nanoseconds since the Unix epoch by the node's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub action: Action,
    /// When it had all that it needed.
    pub start_ns: u64,
    /// When its result was there.
    pub end_ns: u64,
}

/// How W and B of one layer lie to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerMeasure {
    /// The layer.
    pub name: String,
    /// The angle between W and B, in degrees.
    pub angle_deg: f64,
    /// ‖B‖ / ‖W‖.
    pub norm_ratio: f64,
    /// ‖W‖.
    pub norm: f64,
    /// ‖W − B‖.
    pub difference: f64,
}

/// A snapshot that is complete on disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnapshotDone {
    /// Updates that the state has seen.
    pub updates: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Time that writing took.
    pub seconds: f64,
}

/// The most mirror steps in one command: a node that carries one out answers nothing else.
pub const MAX_ALIGN: u64 = 10_000;

impl Align {
    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        if self.steps <= MAX_ALIGN && self.done.checked_add(self.steps).is_some() {
            return Ok(self);
        }
        Err(ProtocolError::invalid(format!("{} mirror steps are too many for one command", self.steps)))
    }
}

impl StepDone {
    /// A step of `phase` in which nothing is done yet.
    pub fn nothing(phase: Phase) -> Self {
        Self {
            step: 0,
            phase,
            spans: Vec::new(),
            compute: Duration::ZERO,
            wait: Duration::ZERO,
            send: Duration::ZERO,
            bytes_forward: 0,
            bytes_backward: 0,
            finite: true,
            updates: 0,
            layers: Vec::new(),
        }
    }
}

impl RunLane {
    /// A lane of one step.
    pub fn of_one_step(lane: Lane, samples: u32, measure: bool) -> Self {
        Self { lane, minibatches: vec![Minibatch { samples, measure }] }
    }

    /// Checks that every minibatch can be cut as the lane says.
    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        let (steps, minibatches) = (self.lane.microbatches(), &self.minibatches);
        if minibatches.len() != steps.len() {
            return Err(ProtocolError::invalid(format!(
                "a lane of {} steps cannot run {} minibatches",
                steps.len(),
                minibatches.len()
            )));
        }
        match minibatches.iter().zip(steps).find(|(minibatch, count)| minibatch.samples < **count) {
            None => Ok(self),
            Some((Minibatch { samples, .. }, microbatches)) => Err(ProtocolError::invalid(format!(
                "{samples} samples cannot make {microbatches} microbatches"
            ))),
        }
    }
}
