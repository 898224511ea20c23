//! The coordinator's commands to a configured node, and the node's reports.

use crate::error::ProtocolError;
use crate::failure::Failure;
use crate::lane::{Action, Lane};
use crate::link::Carried;
use crate::microbatch::Phase;
use crate::timeline::{MAX_TRANSFERS, Timeline, Transfer};
use std::time::Duration;

/// The version of the protocol, which must be the same on both sides.
pub const PROTOCOL: u32 = 7;

/// A node's description of itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// The release of Neuropil.
    pub version: String,
    /// [`PROTOCOL`] of the node.
    pub protocol: u32,
    /// `cpu`, or `cuda:N` with the model of the GPU and its memory in parentheses.
    pub device: String,
    /// Compute threads.
    pub threads: u32,
    /// Bytes of main memory on the host.
    pub memory_total: u64,
    /// Bytes of main memory that are free for use.
    pub memory_available: u64,
    /// Where the node listens for its neighbours.
    pub data: DataAddress,
    /// The run that is under way.
    pub run: Option<String>,
    /// The snapshots that the node can restore.
    pub snapshots: Vec<HeldSnapshot>,
    /// When the node's certificate or its CA's expires, in seconds since the epoch; 0 in plaintext.
    pub certificate_expires: u64,
}

/// Where a node listens for its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataAddress {
    /// A port of the node's host.
    Port(u16),
    /// The path of a socket of the node's host.
    Path(String),
}

impl DataAddress {
    /// The address for neighbours of the node, whose control address is `control`.
    pub fn beside(&self, control: &str) -> String {
        let host = control.rsplit_once(':').map_or(control, |(host, _)| host);
        match self {
            Self::Port(port) => format!("{host}:{port}"),
            Self::Path(path) => format!("unix:{path}"),
        }
    }
}

/// A complete snapshot on a node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSnapshot {
    /// The run of the snapshot.
    pub run: String,
    /// The number of updates in the snapshot.
    pub updates: u64,
    /// Whether weights were imported into the snapshot since the node wrote it.
    pub imported: bool,
    /// The [`fingerprint`](crate::spec::fingerprint::fingerprint) of the snapshot's tensors.
    pub tensors: u64,
}

/// A node's answer once it is a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Trained numbers, B not counted.
    pub parameters: u64,
    /// The number of updates in the state.
    pub updates: u64,
}

/// One command of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Opens the run: connect to the neighbour above.
    Start(Start),
    /// Follow a lane.
    Lane(RunLane),
    /// Write the state as of the last update, and then remove old snapshots other than these.
    Snapshot(Keep),
    /// Mirror steps before the first update.
    Align(Align),
}

/// Some mirror steps: B learns from the layers' own noise, and nothing else moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Align {
    /// Mirror steps that are done.
    pub done: u64,
    /// Mirror steps that are to follow.
    pub steps: u64,
}

/// The snapshots that stay beside the newest, each by its number of updates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep(pub Vec<u64>);

/// The most snapshots that a command can keep.
pub const MAX_KEEP: usize = 16;

/// The beginning of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The run's name on the wire.
    pub run: String,
    /// The number of this start among all starts of the run.
    pub incarnation: u32,
    /// The data address of the neighbour above; `None` for the last stage.
    pub above: Option<String>,
    /// The data address of the node with the B of the stage's split layers; `None` where there is none.
    pub backward: Option<String>,
    /// How long the node tries to reach the neighbours at these addresses.
    pub connect_deadline: Duration,
    /// How long the node waits for a neighbour's message.
    pub message_deadline: Duration,
}

/// A lane for one stage, and the minibatches of its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLane {
    /// The actions, in order.
    pub lane: Lane,
    /// A minibatch for each step of the lane.
    pub minibatches: Vec<Minibatch>,
}

/// The minibatch of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minibatch {
    /// N, the samples of the minibatch.
    pub samples: u32,
    /// What the node measures of the layers.
    pub measure: Measure,
    /// Whether the node reports the step's timeline.
    pub timeline: bool,
}

/// What a node measures of its weight layers in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Nothing.
    #[default]
    Nothing,
    /// W and B, after the update.
    Matrices,
    /// W and B, after the update; and before it, in the first microbatch, the outputs and the errors of W and of B.
    Signals,
}

impl Measure {
    /// What to measure where `matrices` or `signals` are due. Signals are never measured alone.
    pub fn of(matrices: bool, signals: bool) -> Self {
        match (matrices, signals) {
            (_, true) => Self::Signals,
            (true, false) => Self::Matrices,
            (false, false) => Self::Nothing,
        }
    }

    /// Whether anything is measured.
    pub fn is_due(self) -> bool {
        self != Self::Nothing
    }
}

/// The answer to a command. Reports follow the order of the commands; a lane has a report for each of its steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The link above is open.
    Started,
    /// A step is closed.
    Step(StepDone),
    /// The state is on disk.
    Snapshot(SnapshotDone),
    /// The number of mirror steps that are done.
    Aligned(u64),
    /// The node is being stopped, for this reason. It answers no command. The node goes on for a few seconds, in which
    /// the coordinator can end the run in order.
    Leaving(Failure),
}

/// A stage's work from the end of the previous step to the end of this step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDone {
    /// The minibatch's number within the phase.
    pub step: u64,
    /// Train or evaluate.
    pub phase: Phase,
    /// The computing time of each action.
    pub spans: Vec<Span>,
    /// Time spent computing.
    pub compute: Duration,
    /// Time spent waiting for neighbours' messages.
    pub wait: Duration,
    /// Time spent making messages and handing them to the links, including the wait while a link has no room.
    pub send: Duration,
    /// Payload bytes sent to the neighbour above.
    pub bytes_forward: u64,
    /// Payload bytes sent to the neighbour below.
    pub bytes_backward: u64,
    /// Payload bytes that the half of a stage sent to its other half.
    pub bytes_split: u64,
    /// Whether every output was finite, also in the number format of the links.
    pub finite: bool,
    /// The first value that was finite, and is not in the number format of the links.
    pub overflow: Option<Overflow>,
    /// The numbers that became 0 in the number format of the links.
    pub underflow: Underflow,
    /// The stage's updates since the seed, over all starts of the run.
    pub updates: u64,
    /// The weight layers, where they were measured.
    pub layers: Vec<LayerMeasure>,
    /// The messages of the step, where the minibatch asks for them.
    pub timeline: Option<Timeline>,
}

/// A value beyond the number format of the links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overflow {
    /// The largest magnitude.
    pub largest: f64,
    /// The kind of the value: an output, an error signal, or a value of a layer on its way to the host of its B.
    pub of: Carried,
}

/// The sent numbers that were not 0, and are 0 in the number format of the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Underflow {
    /// Numbers of outputs.
    pub activations: u64,
    /// Numbers of error signals.
    pub error_signals: u64,
    /// Numbers of layers' values on their way to the host of B.
    pub layer_values: u64,
}

/// The computing time of one action, in nanoseconds since the Unix epoch by the node's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The action.
    pub action: Action,
    /// The time at which the action had all its inputs.
    pub start_ns: u64,
    /// The time at which the action's result was complete.
    pub end_ns: u64,
    /// Whether the span is a part of U that steps B. A node may make such parts apart from the rest of U, in waits that
    /// follow it.
    pub backward: bool,
}

impl Span {
    /// The span of a whole action.
    pub fn of(action: Action, start_ns: u64, end_ns: u64) -> Self {
        Self { action, start_ns, end_ns, backward: false }
    }
}

/// Angle and norms of W and B of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerMeasure {
    /// The layer's name.
    pub name: String,
    /// The angle between W and B, in degrees; under product feedback alignment that between W and B·R.
    pub angle_deg: f64,
    /// ‖B‖ / ‖W‖, or ‖B·R‖ / ‖W‖.
    pub norm_ratio: f64,
    /// ‖W‖.
    pub norm: f64,
    /// ‖W − B‖, or ‖R − BᵀW‖.
    pub difference: f64,
    /// Whether B is on another host, so that no node can compare B with W: every number but the norm is then NaN.
    pub split: bool,
    /// The angle between map(x, W) and map(x, B), or map(x, B·R), in the first microbatch, in degrees; NaN where it was not measured.
    pub output_angle_deg: f64,
    /// The angle between the error that B sent below in the first microbatch and the one that W would have sent, in
    /// degrees; NaN where it was not measured, and where the layer sends no error below.
    pub error_angle_deg: f64,
}

/// A snapshot that is complete on disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnapshotDone {
    /// The number of updates in the snapshot.
    pub updates: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Seconds spent writing the file.
    pub seconds: f64,
}

/// The most mirror steps in one command: while a node carries out such a command, it answers no other command.
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
    /// A report of a step of `phase` before its first action.
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
            bytes_split: 0,
            finite: true,
            overflow: None,
            underflow: Underflow::default(),
            updates: 0,
            layers: Vec::new(),
            timeline: None,
        }
    }

    /// Adds a message to the timeline, if the report has one, and there is room.
    pub fn transferred(&mut self, transfer: impl FnOnce() -> Transfer) {
        let timeline = self.timeline.as_mut().filter(|timeline| timeline.transfers.len() < MAX_TRANSFERS);
        if let Some(timeline) = timeline {
            timeline.transfers.push(transfer());
        }
    }
}

impl RunLane {
    /// A lane of one step.
    pub fn of_one_step(lane: Lane, samples: u32, measure: Measure) -> Self {
        Self { lane, minibatches: vec![Minibatch { samples, measure, timeline: false }] }
    }

    /// The same work, with a timeline of every step if `timeline` is set.
    #[must_use]
    pub fn with_timeline(mut self, timeline: bool) -> Self {
        self.minibatches.iter_mut().for_each(|minibatch| minibatch.timeline = timeline);
        self
    }

    /// Checks that every minibatch can be cut into the lane's microbatches.
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
