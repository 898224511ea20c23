//! The ledger of a run's start: one process's account of every message that crossed its links and its control plane, of
//! the messages that training consumed, and of the values that each rule read. `docs/locality.md` has the exact layout
//! of the hashes.
//!
//! A message has one encoding ([`crate::transport::codec`]), so both ends of a link count the same bytes.

mod chain;
mod control;
mod json;
mod links;
mod refusals;
pub mod size;

pub use chain::{Chain, ChainedHeader};
pub use control::{ControlLedger, Controlling};
pub use links::LinkLedger;

use crate::link::{Carried, Role};
use crate::microbatch::Phase;
use crate::spec::graph::Value;
use crate::spec::reads::Reads;
use crate::tensor::Kind;
use serde::{Deserialize, Serialize};

/// The most refusals that a ledger holds.
pub const MAX_REFUSALS: usize = 16;

/// One process's account of one start of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// The process.
    pub of: Role,
    /// The run's name on the wire.
    pub run: String,
    /// The number of the start.
    pub incarnation: u32,
    /// All messages of the links: never rolled back.
    pub crossed: Vec<LinkRecord>,
    /// The messages of the training steps that ended in an update, over all starts of the run.
    pub consumed: Vec<LinkRecord>,
    /// The number of the update after which `consumed` begins: 0, unless the state comes from a release without ledger.
    pub consumed_since: u64,
    /// The messages of the control plane.
    pub control: Vec<ControlRecord>,
    /// The values that the rule of each weight layer read.
    pub layers: Vec<LayerReads>,
    /// The first messages that the process refused.
    pub refusals: Vec<Refusal>,
}

/// The messages of one phase and form in one direction of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "json::Link", from = "json::Link")]
pub struct LinkRecord {
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// Activations, error signals or values of a layer.
    pub carried: Carried,
    /// Train or evaluate.
    pub phase: Phase,
    /// Which of the link's forms the messages have; 0 between neighbours.
    pub form: u32,
    /// The tensors of the messages, in order, each with the shape of one sample.
    pub tensors: Vec<Value>,
    /// The number format of each tensor.
    pub kinds: Vec<Kind>,
    /// The number of messages.
    pub messages: u64,
    /// The samples of all messages.
    pub samples: u64,
    /// The protobuf bytes of all messages, without gRPC's prefix of 5 bytes for each part.
    pub bytes: u64,
    /// The bytes of all tensors.
    pub payload: u64,
    /// The hash chain over all messages, in order.
    pub chain: Chain,
}

/// The messages of one kind in one direction of a control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "json::Control")]
pub struct ControlRecord {
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// The kind of the messages.
    pub message: ControlMessage,
    /// The number of messages.
    pub messages: u64,
    /// The protobuf bytes of all messages.
    pub bytes: u64,
    /// The protobuf bytes of the largest message.
    pub largest: u64,
    /// The hash chain over all messages, in order.
    pub chain: Chain,
}

/// The kind of a message of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlMessage {
    /// The coordinator asks for the node's description.
    Describe,
    /// The node's description.
    Description,
    /// The specification of a stage.
    Configure,
    /// The node is the stage.
    Configured,
    /// The command that starts a run.
    Start,
    /// The command to follow a lane.
    Lane,
    /// The command to write a snapshot.
    Snapshot,
    /// The command to make mirror steps.
    Align,
    /// The report that the links are open.
    Started,
    /// The report of a step.
    Step,
    /// The report of a snapshot.
    SnapshotDone,
    /// The report of mirror steps.
    Aligned,
    /// The report that the node is being stopped.
    Leaving,
    /// The coordinator asks for the ledger.
    Audit,
    /// The node's ledger.
    Ledger,
    /// The failure that ends a call.
    Failure,
}

impl ControlMessage {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Describe,
        Self::Description,
        Self::Configure,
        Self::Configured,
        Self::Start,
        Self::Lane,
        Self::Snapshot,
        Self::Align,
        Self::Started,
        Self::Step,
        Self::SnapshotDone,
        Self::Aligned,
        Self::Leaving,
        Self::Audit,
        Self::Ledger,
        Self::Failure,
    ];
}

/// The values that the updates of one layer's B read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerReads {
    /// The layer.
    pub layer: String,
    /// The values that were given to the rule. The types that give them out record them.
    pub read: Reads,
}

/// A message that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The sender.
    pub from: Role,
    /// The direction of the link; `None` on the control plane.
    pub carried: Option<Carried>,
    /// The reason, with the message and the tensor.
    pub sentence: String,
}
