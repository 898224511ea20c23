//! The account of a control plane between the coordinator and one node. Both ends keep the same account.

use super::refusals::Refusals;
use super::{Chain, ControlMessage, ControlRecord, Refusal};
use crate::link::Role;
use crate::wire::{self, command, report};
use prost::Message;
use std::sync::{Arc, Mutex, MutexGuard};

/// A message of the control plane.
pub trait Controlling: Message {
    /// The kind of the message; `None` for a message without content, which every receiver refuses.
    fn kind(&self) -> Option<ControlMessage>;
}

macro_rules! always {
    ($($type:ident $kind:ident)+) => { $(
        impl Controlling for wire::$type {
            fn kind(&self) -> Option<ControlMessage> {
                Some(ControlMessage::$kind)
            }
        }
    )+ };
}
always! {
    DescribeRequest Describe
    Description Description
    Stage Configure
    Configured Configured
    AuditRequest Audit
    Ledger Ledger
}

impl Controlling for wire::Command {
    fn kind(&self) -> Option<ControlMessage> {
        use command::Command as C;
        self.command.as_ref().map(|command| match command {
            C::Start(_) => ControlMessage::Start,
            C::Lane(_) => ControlMessage::Lane,
            C::Snapshot(_) => ControlMessage::Snapshot,
            C::Align(_) => ControlMessage::Align,
        })
    }
}

impl Controlling for wire::Report {
    fn kind(&self) -> Option<ControlMessage> {
        use report::Report as R;
        self.report.as_ref().map(|report| match report {
            R::Started(_) => ControlMessage::Started,
            R::Step(_) => ControlMessage::Step,
            R::Snapshot(_) => ControlMessage::SnapshotDone,
            R::Align(_) => ControlMessage::Aligned,
            R::Leaving(_) => ControlMessage::Leaving,
        })
    }
}

/// The messages between one process and its peer on a control plane; clones share the account.
#[derive(Clone, Debug)]
pub struct ControlLedger {
    own: Role,
    peer: Role,
    account: Arc<Mutex<Account>>,
}

#[derive(Debug, Default)]
struct Account {
    records: Vec<ControlRecord>,
    refusals: Refusals,
}

impl ControlLedger {
    /// An empty account of the process with the role `own`.
    pub fn new(own: Role, peer: Role) -> Self {
        Self { own, peer, account: Arc::default() }
    }

    /// Counts a message to the peer.
    pub fn sent(&self, message: &impl Controlling) {
        self.count([self.own, self.peer], message.kind(), &message.encode_to_vec());
    }

    /// Counts a message from the peer.
    pub fn received(&self, message: &impl Controlling) {
        self.count([self.peer, self.own], message.kind(), &message.encode_to_vec());
    }

    /// Counts a failure to the peer, by the details of its status.
    pub fn failure_sent(&self, details: &[u8]) {
        self.count([self.own, self.peer], Some(ControlMessage::Failure), details);
    }

    /// Counts a failure from the peer, by the details of its status.
    pub fn failure_received(&self, details: &[u8]) {
        self.count([self.peer, self.own], Some(ControlMessage::Failure), details);
    }

    /// Notes that a message from the peer was refused, for the reason `why`.
    pub fn refused(&self, why: &str) {
        self.account().refusals.note(self.peer, None, why);
    }

    /// The records so far, in the order of sender, receiver and kind.
    pub fn records(&self) -> Vec<ControlRecord> {
        let mut records = self.account().records.clone();
        records.sort_by_key(|record| (record.from, record.to, record.message));
        records
    }

    /// The first messages that were refused.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.account().refusals.all()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn count(&self, [from, to]: [Role; 2], message: Option<ControlMessage>, bytes: &[u8]) {
        let Some(message) = message else { return };
        let records = &mut self.account().records;
        let known = records.iter().position(|record| (record.from, record.message) == (from, message));
        let at = known.unwrap_or_else(|| {
            let chain = Chain::default();
            records.push(ControlRecord { from, to, message, messages: 0, bytes: 0, largest: 0, chain });
            records.len() - 1
        });
        let (record, length) = (&mut records[at], bytes.len() as u64);
        record.messages += 1;
        record.bytes += length;
        record.largest = record.largest.max(length);
        record.chain.control(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_control_plane_count_alike() {
        let (coordinator, stage) = (Role::Coordinator, Role::Stage(3));
        let [calls, serves] =
            [ControlLedger::new(coordinator, stage), ControlLedger::new(stage, coordinator)];
        let lane = |first| wire::Command {
            command: Some(command::Command::Lane(wire::Lane { first, ..Default::default() })),
        };
        for lane in [lane(1), lane(300)] {
            calls.sent(&lane);
            serves.received(&lane);
        }
        let done = wire::Report { report: Some(report::Report::Align(wire::AlignDone { done: 7 })) };
        serves.sent(&done);
        calls.received(&done);
        serves.failure_sent(b"details");
        calls.failure_received(b"details");
        let records = calls.records();
        assert_eq!(records, serves.records());
        let found: Vec<_> =
            records.iter().map(|r| (r.from, r.message, r.messages, r.bytes, r.largest)).collect();
        assert_eq!(
            found,
            [
                (coordinator, ControlMessage::Lane, 2, 4 + 5, 5),
                (stage, ControlMessage::Aligned, 1, 4, 4),
                (stage, ControlMessage::Failure, 1, 7, 7),
            ]
        );
    }
}
