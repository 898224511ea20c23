//! Conversions of ledgers.

use super::{Result, all, into_all};
use crate::error::{ProtocolError, short};
use crate::failure::cut;
use crate::ledger::{
    Chain, ControlMessage, ControlRecord, LayerReads, Ledger, LinkRecord, MAX_REFUSALS, Refusal,
};
use crate::link::{Carried, Role};
use crate::microbatch::Phase;
use crate::spec::limits::{MAX_LAYERS, MAX_NAME, MAX_SPLIT, MAX_VALUES};
use crate::spec::reads::Reads;
use crate::tensor::Kind;
use crate::wire;
use bytes::Bytes;

/// The most records of links: two links, two directions and two phases, and for each layer that is split its samples, its
/// noise, and its error on both ways.
const MAX_LINK_RECORDS: usize = 8 + 4 * MAX_SPLIT;
/// The most records of the control plane: two directions of every kind of message.
const MAX_CONTROL_RECORDS: usize = 2 * ControlMessage::ALL.len();

alike!(Carried = wire::Carried { Activations, ErrorSignals, LayerValues } or "direction of a link");
alike!(ControlMessage = wire::ControlMessage {
    Describe, Description, Configure, Configured, Start, Lane, Snapshot, Align, Started, Step, SnapshotDone,
    Aligned, Leaving, Audit, Ledger, Failure
} or "kind of control message");

impl TryFrom<wire::Ledger> for Ledger {
    type Error = ProtocolError;
    fn try_from(ledger: wire::Ledger) -> Result<Self> {
        check_counts(&ledger)?;
        Ok(Self {
            of: role(ledger.of),
            run: ledger.run,
            incarnation: ledger.incarnation,
            crossed: all(ledger.crossed)?,
            consumed: all(ledger.consumed)?,
            consumed_since: ledger.consumed_since,
            control: all(ledger.control)?,
            layers: all(ledger.layers)?,
            refusals: all(ledger.refusals)?,
        })
    }
}

/// Checks the numbers of records before any of them is converted.
fn check_counts(ledger: &wire::Ledger) -> Result<()> {
    let bounds = [
        ("records of crossed messages", ledger.crossed.len(), MAX_LINK_RECORDS),
        ("records of consumed messages", ledger.consumed.len(), MAX_LINK_RECORDS),
        ("records of the control plane", ledger.control.len(), MAX_CONTROL_RECORDS),
        ("layers", ledger.layers.len(), MAX_LAYERS),
        ("refusals", ledger.refusals.len(), MAX_REFUSALS),
        ("bytes in the name of its run", ledger.run.len(), MAX_NAME),
    ];
    match bounds.into_iter().find(|(_, found, most)| found > most) {
        None => Ok(()),
        Some((what, found, most)) => {
            Err(ProtocolError::invalid(format!("a ledger with {found} {what} has more than {most}")))
        }
    }
}

/// A node's ledger. The coordinator's ledger never crosses the wire.
impl From<Ledger> for wire::Ledger {
    fn from(ledger: Ledger) -> Self {
        Self {
            of: party(ledger.of),
            run: ledger.run,
            incarnation: ledger.incarnation,
            crossed: into_all(ledger.crossed),
            consumed: into_all(ledger.consumed),
            consumed_since: ledger.consumed_since,
            control: into_all(ledger.control),
            layers: into_all(ledger.layers),
            refusals: into_all(ledger.refusals),
        }
    }
}

/// The role of a party to a record: a node, or else the coordinator.
pub(super) fn role(party: Option<wire::Party>) -> Role {
    match party {
        None => Role::Coordinator,
        Some(wire::Party { stage, backward: false }) => Role::Stage(stage),
        Some(wire::Party { stage, backward: true }) => Role::Backward(stage),
    }
}

/// The inverse of [`role`]. A node that is a stage knows the roles of all its peers.
pub(super) fn party(role: Role) -> Option<wire::Party> {
    match role {
        Role::Stage(stage) => Some(wire::Party { stage, backward: false }),
        Role::Backward(stage) => Some(wire::Party { stage, backward: true }),
        Role::Coordinator | Role::Node => None,
    }
}

fn chain(bytes: &Bytes) -> Result<Chain> {
    let length = bytes.len();
    let hash = bytes[..].try_into();
    hash.map(Chain).map_err(|_| ProtocolError::invalid(format!("a hash of {length} bytes where 32 are due")))
}

impl TryFrom<wire::LinkRecord> for LinkRecord {
    type Error = ProtocolError;
    fn try_from(record: wire::LinkRecord) -> Result<Self> {
        let tensors = record.tensors.len();
        if tensors > MAX_VALUES {
            return Err(ProtocolError::invalid(format!(
                "a record of {tensors} tensors is of no link, which carries at most {MAX_VALUES}"
            )));
        }
        let kinds = record.kinds.len();
        if kinds != tensors {
            return Err(ProtocolError::invalid(format!(
                "a record of {tensors} tensors has {kinds} number formats"
            )));
        }
        let kind = |number: i32| Kind::try_from(wire::Kind::try_from(number).unwrap_or_default());
        Ok(Self {
            from: role(record.from),
            to: role(record.to),
            carried: Carried::try_from(record.carried())?,
            phase: Phase::try_from(record.phase())?,
            form: record.form,
            kinds: record.kinds.into_iter().map(kind).collect::<Result<_>>()?,
            chain: chain(&record.chain)?,
            tensors: all(record.tensors)?,
            messages: record.messages,
            samples: record.samples,
            bytes: record.bytes,
            payload: record.payload,
        })
    }
}

impl From<LinkRecord> for wire::LinkRecord {
    fn from(record: LinkRecord) -> Self {
        Self {
            from: party(record.from),
            to: party(record.to),
            carried: wire::Carried::from(record.carried).into(),
            phase: wire::Phase::from(record.phase).into(),
            tensors: into_all(record.tensors),
            kinds: record.kinds.into_iter().map(|kind| wire::Kind::from(kind).into()).collect(),
            messages: record.messages,
            samples: record.samples,
            bytes: record.bytes,
            payload: record.payload,
            chain: Bytes::copy_from_slice(&record.chain.0),
            form: record.form,
        }
    }
}

impl TryFrom<wire::ControlRecord> for ControlRecord {
    type Error = ProtocolError;
    fn try_from(record: wire::ControlRecord) -> Result<Self> {
        Ok(Self {
            from: role(record.from),
            to: role(record.to),
            message: ControlMessage::try_from(record.message())?,
            messages: record.messages,
            bytes: record.bytes,
            largest: record.largest,
            chain: chain(&record.chain)?,
        })
    }
}

impl From<ControlRecord> for wire::ControlRecord {
    fn from(record: ControlRecord) -> Self {
        Self {
            from: party(record.from),
            to: party(record.to),
            message: wire::ControlMessage::from(record.message).into(),
            messages: record.messages,
            bytes: record.bytes,
            largest: record.largest,
            chain: Bytes::copy_from_slice(&record.chain.0),
        }
    }
}

impl TryFrom<wire::LayerReads> for LayerReads {
    type Error = ProtocolError;
    fn try_from(reads: wire::LayerReads) -> Result<Self> {
        let wire::LayerReads { layer, x, y, error, backward, weight } = reads;
        if layer.len() > MAX_NAME {
            return Err(ProtocolError::invalid(format!("'{}…' is too long for a layer", short(&layer))));
        }
        Ok(Self { layer, read: Reads { x, y, error, backward, weight } })
    }
}

impl From<LayerReads> for wire::LayerReads {
    fn from(LayerReads { layer, read }: LayerReads) -> Self {
        let Reads { x, y, error, backward, weight } = read;
        Self { layer, x, y, error, backward, weight }
    }
}

impl TryFrom<wire::Refusal> for Refusal {
    type Error = ProtocolError;
    fn try_from(refusal: wire::Refusal) -> Result<Self> {
        let carried = match refusal.carried() {
            wire::Carried::Unspecified => None,
            carried => Some(Carried::try_from(carried)?),
        };
        Ok(Self { from: role(refusal.from), carried, sentence: cut(refusal.sentence) })
    }
}

impl From<Refusal> for wire::Refusal {
    fn from(Refusal { from, carried, sentence }: Refusal) -> Self {
        let carried = carried.map_or(wire::Carried::Unspecified, wire::Carried::from);
        Self { from: party(from), carried: carried.into(), sentence: cut(sentence) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::graph::Value;
    use crate::transport::REPORT_MESSAGE_LIMIT;
    use crate::transport::codec::Received;
    use prost::Message;

    /// The largest ledger that a node can have.
    fn largest() -> Ledger {
        let value = |index| Value { name: format!("{index:0128}"), shape: vec![2; 7] };
        let link = LinkRecord {
            from: Role::Stage(u32::MAX),
            to: Role::Coordinator,
            carried: Carried::ErrorSignals,
            phase: Phase::Evaluate,
            form: u32::MAX,
            tensors: (0..MAX_VALUES).map(value).collect(),
            kinds: vec![Kind::F16; MAX_VALUES],
            messages: u64::MAX,
            samples: u64::MAX,
            bytes: u64::MAX,
            payload: u64::MAX,
            chain: Chain::default(),
        };
        let split = |at: usize| LinkRecord {
            carried: Carried::LayerValues,
            tensors: [0, 1].map(|index| Value { name: format!("{index:0144}"), shape: vec![2; 7] }).into(),
            kinds: vec![Kind::F16; 2],
            to: Role::Backward(at as u32),
            ..link.clone()
        };
        let cuts = std::iter::repeat_n(link.clone(), 8);
        let links: Vec<_> = cuts.chain((8..MAX_LINK_RECORDS).map(split)).collect();
        let control = |&message: &ControlMessage| ControlRecord {
            from: Role::Coordinator,
            to: Role::Stage(u32::MAX),
            message,
            messages: u64::MAX,
            bytes: u64::MAX,
            largest: u64::MAX,
            chain: Chain::default(),
        };
        let read = Reads { x: true, weight: true, ..Reads::default() };
        let refused = |carried| Refusal { from: Role::Stage(7), carried, sentence: "ü".repeat(1000) };
        Ledger {
            of: Role::Stage(7),
            run: "r".repeat(MAX_NAME),
            incarnation: u32::MAX,
            crossed: links.clone(),
            consumed: links,
            consumed_since: u64::MAX,
            control: ControlMessage::ALL.iter().chain(&ControlMessage::ALL).map(control).collect(),
            layers: (0..MAX_LAYERS)
                .map(|layer| LayerReads { layer: format!("{layer:0128}"), read })
                .collect(),
            refusals: [None, Some(Carried::Activations)]
                .map(refused)
                .into_iter()
                .cycle()
                .take(MAX_REFUSALS)
                .collect(),
        }
    }

    /// A fault's sentence, and the function that causes it.
    type Harm = (&'static str, fn(&mut wire::Ledger));

    #[test]
    fn the_largest_ledger_crosses_the_wire_and_a_larger_one_is_refused() {
        let ledger = largest();
        let bytes = wire::Ledger::from(ledger.clone()).encode_to_vec();
        assert!(bytes.len() < REPORT_MESSAGE_LIMIT, "{}", bytes.len());
        let received = wire::Ledger::receive(bytes.into()).unwrap();
        assert!(Ledger::try_from(received) == Ok(ledger), "the same ledger");
        let harms: [Harm; 10] = [
            ("1033 records of crossed", |l| l.crossed.push(Default::default())),
            ("1033 records of consumed", |l| l.consumed.push(Default::default())),
            ("33 records of the control plane", |l| l.control.push(Default::default())),
            ("4097 layers", |l| l.layers.push(Default::default())),
            ("17 refusals", |l| l.refusals.push(Default::default())),
            ("129 bytes", |l| l.run.push('r')),
            ("1025 tensors", |l| l.crossed[0].tensors.push(Default::default())),
            ("has 1023 number formats", |l| _ = l.crossed[0].kinds.pop()),
            ("31 bytes", |l| l.crossed[0].chain.truncate(31)),
            ("'xxxx", |l| l.layers[0].layer = "x".repeat(1 << 20)),
        ];
        for (says, harm) in harms {
            let mut hostile = wire::Ledger::from(largest());
            harm(&mut hostile);
            let refused = Ledger::try_from(hostile).unwrap_err().to_string();
            assert!(refused.contains(says) && refused.len() < 200, "{says}: {refused}");
        }
    }
}
