//! The account of a process's links: an observer of every link counts and hashes its messages.

use super::refusals::Refusals;
use super::{Chain, ChainedHeader, LinkRecord, Refusal};
use crate::link::framing::wire_bytes;
use crate::link::{Carried, Observer, Role};
use crate::microbatch::{Message, Phase};
use crate::spec::graph::Value;
use crate::tensor::Kind;
use std::sync::{Arc, Mutex, MutexGuard};

/// The messages that crossed the links of one process in one start of a run; clones share the account.
#[derive(Clone, Debug)]
pub struct LinkLedger {
    own: Role,
    account: Arc<Mutex<Account>>,
}

#[derive(Debug, Default)]
struct Account {
    /// A record for each direction, phase and form of each link, in the order of the first messages.
    records: Vec<LinkRecord>,
    refusals: Refusals,
}

impl LinkLedger {
    /// An empty account of the process with the role `own`.
    pub fn new(own: Role) -> Self {
        Self { own, account: Arc::default() }
    }

    /// The observer of the link to `peer`.
    pub fn observer(&self, peer: Role) -> Arc<dyn Observer> {
        Arc::new(OfLink { ledger: self.clone(), peer })
    }

    /// The records so far, in the order of sender, receiver, direction, phase and form.
    pub fn records(&self) -> Vec<LinkRecord> {
        let mut records = self.account().records.clone();
        records.sort_by_key(LinkRecord::order);
        records
    }

    /// The first messages that were refused.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.account().refusals.all()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn count(&self, [from, to]: [Role; 2], carried: Carried, message: &Message) {
        // The checksum is computed before the lock is taken, so that other links can count meanwhile.
        message.tensors.iter().for_each(|(_, tensor)| _ = tensor.checksum());
        let records = &mut self.account().records;
        let header = &message.header;
        let due = LinkRecord { form: header.form, ..LinkRecord::empty([from, to], carried, header.phase) };
        let known = records.iter_mut().position(|record| record.order() == due.order());
        let at = known.unwrap_or_else(|| {
            let kinds = message.tensors.iter().map(|(_, tensor)| tensor.kind()).collect();
            records.push(LinkRecord { tensors: values(message), kinds, ..due });
            records.len() - 1
        });
        records[at].add(message, true);
    }
}

/// The tensors of `message`, each with the shape of one sample.
fn values(message: &Message) -> Vec<Value> {
    let value = |(name, tensor): &(String, crate::tensor::TensorData)| Value {
        name: name.clone(),
        shape: tensor.shape().get(1..).unwrap_or_default().to_vec(),
    };
    message.tensors.iter().map(value).collect()
}

impl LinkRecord {
    /// A record without messages, of form 0.
    pub fn empty([from, to]: [Role; 2], carried: Carried, phase: Phase) -> Self {
        Self {
            from,
            to,
            carried,
            phase,
            form: 0,
            tensors: Vec::new(),
            kinds: Vec::new(),
            messages: 0,
            samples: 0,
            bytes: 0,
            payload: 0,
            chain: Chain::default(),
        }
    }

    /// The record of messages of `form` with these `tensors`, on a link whose number format is `wire`.
    #[must_use]
    pub fn of(self, form: u32, tensors: Vec<Value>, wire: Kind) -> Self {
        Self { form, kinds: tensors.iter().map(|value| value.kind(wire)).collect(), tensors, ..self }
    }

    /// The key by which records are told apart, and its order.
    pub fn order(&self) -> (Role, Role, Carried, Phase, u32) {
        (self.from, self.to, self.carried, self.phase, self.form)
    }

    /// Counts `message`. Its hash names the run and the start if `with_run` is set.
    pub fn add(&mut self, message: &Message, with_run: bool) {
        self.messages += 1;
        self.samples += u64::from(message.header.size);
        self.bytes += wire_bytes(message);
        self.payload += message.payload();
        let tensors = message.tensors.iter();
        let tensors =
            tensors.map(|(name, tensor)| (name.as_str(), tensor.kind(), tensor.shape(), tensor.checksum()));
        let (carried, header) = (self.carried, &message.header);
        self.chain.link(&ChainedHeader { carried, header, with_run, tensors: tensors.collect() });
    }
}

/// The observer of one link.
struct OfLink {
    ledger: LinkLedger,
    peer: Role,
}

impl Observer for OfLink {
    fn received(&self, carried: Carried, message: &Message) {
        self.ledger.count([self.peer, self.ledger.own], carried, message);
    }

    fn sent(&self, carried: Carried, message: &Message) {
        self.ledger.count([self.ledger.own, self.peer], carried, message);
    }

    fn refused(&self, carried: Carried, why: &str) {
        self.ledger.account().refusals.note(self.peer, Some(carried), why);
    }
}
