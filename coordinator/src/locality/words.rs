//! The words of the proof: the names of links, messages and tensors in the table, the page and the JSON.

pub(super) use crate::plural::plural;
use proto::ledger::{ControlMessage, LinkRecord};
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
use proto::spec::graph::Value;
use proto::tensor::Kind;

/// A process, as in `stage 3`.
pub(super) fn process(role: Role) -> String {
    match role {
        Role::Coordinator => "coordinator".into(),
        Role::Stage(_) | Role::Backward(_) => role.to_string(),
        Role::Node => "a node".into(),
    }
}

/// A direction of a link, as in `stage 0 → stage 1`.
pub(super) fn link(from: Role, to: Role) -> String {
    format!("{} → {}", process(from), process(to))
}

/// The kind of a link's messages.
pub(super) fn kind(carried: Carried) -> &'static str {
    match carried {
        Carried::Activations => "activation",
        Carried::ErrorSignals => "error_signal",
        Carried::LayerValues => "layer_values",
    }
}

/// A message of a link, as in `train error signal`.
pub(super) fn message(carried: Carried, phase: Phase) -> String {
    format!("{phase} {}", kind(carried).replace('_', " "))
}

/// The word of a message of the control plane.
pub(super) fn control(message: ControlMessage) -> &'static str {
    use ControlMessage as M;
    match message {
        M::Describe => "describe",
        M::Description => "description",
        M::Configure => "configure",
        M::Configured => "configured",
        M::Start => "start",
        M::Lane => "lane",
        M::Snapshot => "snapshot",
        M::Align => "align",
        M::Started => "started",
        M::Step => "step",
        M::SnapshotDone => "snapshot_done",
        M::Aligned => "aligned",
        M::Leaving => "leaving",
        M::Audit => "audit",
        M::Ledger => "ledger",
        M::Failure => "failure",
    }
}

/// A tensor with the shape of one sample, as in `relu1 32×28×28`.
pub(super) fn tensor(value: &Value) -> String {
    let shape: Vec<String> = value.shape.iter().map(u64::to_string).collect();
    format!("{} {}", value.name, shape.join("×"))
}

/// The tensors of a record, as in `relu1 32×28×28, skip 8×4×4`; `none` for messages without tensors.
pub(super) fn tensors(record: &LinkRecord) -> String {
    let tensors: Vec<String> = record.tensors.iter().map(tensor).collect();
    if tensors.is_empty() { "none".into() } else { tensors.join(", ") }
}

/// The number formats of a record's tensors: one word where they are alike, and else a word for each, as in `u8, f32`.
pub(super) fn formats(record: &LinkRecord) -> String {
    let words: Vec<String> = record.kinds.iter().map(Kind::to_string).collect();
    match words.split_first() {
        Some((first, others)) if others.iter().all(|word| word == first) => first.clone(),
        _ => words.join(", "),
    }
}

/// The names of a record's tensors; `None` for messages without tensors.
pub(super) fn names(record: &LinkRecord) -> Option<String> {
    let names: Vec<&str> = record.tensors.iter().map(|value| value.name.as_str()).collect();
    Some(names.join(", ")).filter(|names| !names.is_empty())
}

/// The first characters of a name that a node gives.
pub(super) fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
