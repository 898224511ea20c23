//! The control planes of all stages together, and those of all backward nodes: a row for each kind of message.

use super::findings::{ControlFinding, Verdict};
use proto::ledger::ControlMessage;
use proto::link::Role;

/// One kind of message, over all stages or over all backward nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    pub message: ControlMessage,
    /// Whether the coordinator sends the messages.
    pub command: bool,
    /// Whether the nodes are backward nodes.
    pub backward: bool,
    pub messages: u64,
    pub bytes: u64,
    pub largest: u64,
    /// The bytes of the widest honest messages.
    pub budget: u64,
    pub ends: Verdict,
    pub count: Verdict,
    pub size: Verdict,
}

/// The sums over all stages, and then over all backward nodes, in the order in which a start needs the messages.
pub(super) fn planes(findings: &[ControlFinding]) -> Vec<Plane> {
    let mut planes: Vec<Plane> = Vec::new();
    for ControlFinding { record, budget, ends, count, size } in findings {
        let command = record.from == Role::Coordinator;
        let node = if command { record.to } else { record.from };
        let backward = matches!(node, Role::Backward(_));
        let budget = budget.map_or(0, |budget| budget.bytes);
        let known = planes.iter_mut().find(|plane| {
            (plane.message, plane.command, plane.backward) == (record.message, command, backward)
        });
        let Some(plane) = known else {
            let (message, messages) = (record.message, record.messages);
            let (bytes, largest, ends, count, size) = (record.bytes, record.largest, *ends, *count, *size);
            planes.push(Plane {
                message,
                command,
                backward,
                messages,
                bytes,
                largest,
                budget,
                ends,
                count,
                size,
            });
            continue;
        };
        plane.messages += record.messages;
        plane.bytes += record.bytes;
        plane.largest = plane.largest.max(record.largest);
        plane.budget += budget;
        (plane.ends, plane.count, plane.size) =
            (plane.ends.and(*ends), plane.count.and(*count), plane.size.and(*size));
    }
    planes.sort_by_key(|plane| plane.backward);
    planes
}

impl Plane {
    /// The nodes of the control planes, in the plural.
    pub(super) fn nodes(&self) -> &'static str {
        if self.backward { "backward nodes" } else { "stages" }
    }
}
