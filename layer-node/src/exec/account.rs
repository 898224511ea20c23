//! The account of a stage's training: the messages that its updates consumed, and the values that its rules read. The
//! worker keeps it, and the control plane shows it.

use proto::ledger::{LayerReads, LinkRecord};
use proto::link::{Carried, Role};
use proto::microbatch::{Message, Phase};
use proto::spec::graph::{INPUT, Value};
use proto::spec::split::{Crossing, Parcel};
use proto::spec::stage::{Half, StageSpec};
use proto::tensor::Kind;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// The account of one start; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Account(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    ways: Vec<Way>,
    /// The number of the update after which the records begin.
    since: u64,
    reads: Vec<LayerReads>,
}

/// The part of an account that a snapshot keeps: the messages that the updates so far have consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// The number of the update after which the records begin.
    pub since: u64,
    /// A record for each direction of each link.
    pub records: Vec<LinkRecord>,
}

impl Consumed {
    /// Nothing, after `updates` updates: the snapshot of a release without ledgers has no record of them.
    pub fn from_here(updates: u64) -> Self {
        Self { since: updates, records: Vec::new() }
    }

    /// The same for a stage `spec` that goes on after `updates` updates; nothing if its messages now have other number
    /// formats, since earlier releases sent the network's input in the links' format.
    #[must_use]
    pub fn for_stage(self, spec: &StageSpec, updates: u64) -> Self {
        let due = records(spec);
        let other = |kept: &LinkRecord| {
            let due = due.iter().find(|due| due.order() == kept.order());
            kept.messages > 0 && due.is_some_and(|due| due.kinds != kept.kinds)
        };
        if self.records.iter().any(other) { Self::from_here(updates) } else { self }
    }
}

/// One form in one direction of a link.
#[derive(Debug)]
struct Way {
    /// The messages up to the last update.
    closed: LinkRecord,
    /// The record after the last message of each step that no update has closed yet, in the order of the steps.
    open: VecDeque<(u64, LinkRecord)>,
}

impl Way {
    fn add(&mut self, message: &Message) {
        let step = message.header.id.step;
        let newest = self.open.back();
        if newest.is_none_or(|(open, _)| *open != step) {
            let record = newest.map_or(&self.closed, |(_, record)| record).clone();
            self.open.push_back((step, record));
        }
        if let Some((_, record)) = self.open.back_mut() {
            record.add(message, false);
        }
    }

    fn close(&mut self, step: u64) {
        while self.open.front().is_some_and(|(open, _)| *open <= step)
            && let Some((_, record)) = self.open.pop_front()
        {
            self.closed = record;
        }
    }
}

impl Account {
    /// Begins the account of the stage `spec`, whose updates so far have consumed `consumed`.
    pub fn begin(&self, spec: &StageSpec, consumed: &Consumed, reads: Vec<LayerReads>) {
        let restored = |empty: LinkRecord| {
            let kept = consumed.records.iter().find(|kept| kept.order() == empty.order());
            match kept.cloned() {
                Some(kept) => LinkRecord { tensors: empty.tensors, kinds: empty.kinds, ..kept },
                None => empty,
            }
        };
        let way = |empty| Way { closed: restored(empty), open: VecDeque::new() };
        *self.inner() =
            Inner { ways: records(spec).into_iter().map(way).collect(), since: consumed.since, reads };
    }

    /// Counts a training message between the `ends` (sender, receiver), until its step is closed or abandoned.
    pub fn add(&self, ends: [Role; 2], carried: Carried, message: &Message) {
        // The checksums are computed before the lock is taken.
        message.tensors.iter().for_each(|(_, tensor)| _ = tensor.checksum());
        let is_of = |way: &&mut Way| {
            let LinkRecord { from, to, carried: kind, form, .. } = way.closed;
            ([from, to], kind, form) == (ends, carried, message.header.form)
        };
        if let Some(way) = self.inner().ways.iter_mut().find(is_of) {
            way.add(message);
        }
    }

    /// Closes `step`: an update has consumed its messages.
    pub fn close(&self, step: u64) {
        self.inner().ways.iter_mut().for_each(|way| way.close(step));
    }

    /// Drops the messages of the steps that are not closed.
    pub fn abandon(&self) {
        self.inner().ways.iter_mut().for_each(|way| way.open.clear());
    }

    /// Takes over the values that the rules have read since the start.
    pub fn read(&self, reads: Vec<LayerReads>) {
        self.inner().reads = reads;
    }

    /// The messages that the updates so far have consumed.
    pub fn consumed(&self) -> Consumed {
        let inner = self.inner();
        let mut records: Vec<_> = inner.ways.iter().map(|way| way.closed.clone()).collect();
        records.sort_by_key(LinkRecord::order);
        Consumed { since: inner.since, records }
    }

    /// The values that the rule of each weight layer has read since the start.
    pub fn reads(&self) -> Vec<LayerReads> {
        self.inner().reads.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A record without messages for each direction and form of the links of the node `spec`.
fn records(spec: &StageSpec) -> Vec<LinkRecord> {
    match spec.half {
        Half::Forward => cuts(spec).into_iter().chain(halves(spec)).collect(),
        Half::Backward => halves(spec),
    }
}

/// The records of the links to the neighbours.
fn cuts(spec: &StageSpec) -> [LinkRecord; 4] {
    let own = spec.role();
    let below = spec.index.checked_sub(1).map_or(Role::Coordinator, Role::Stage);
    let above = spec.index + 1;
    let above = if above < spec.stages { Role::Stage(above) } else { Role::Coordinator };
    let of = |wire| move |ends, carried, tensors: Vec<Value>| record(wire, ends, carried, (0, tensors));
    let (to_below, to_above) = (of(spec.wire), of(spec.wire_above()));
    // The network's input has no error.
    let with_errors = |values: &[Value]| values.iter().filter(|value| value.name != INPUT).cloned().collect();
    let outputs = spec.output_values().unwrap_or_default();
    [
        to_below([below, own], Carried::Activations, spec.inputs.clone()),
        to_above([own, above], Carried::Activations, outputs.clone()),
        to_above([above, own], Carried::ErrorSignals, with_errors(&outputs)),
        to_below([own, below], Carried::ErrorSignals, with_errors(&spec.inputs)),
    ]
}

/// The records of the link between the halves.
fn halves(spec: &StageSpec) -> Vec<LinkRecord> {
    let (forward, backward) = (Role::Stage(spec.index), Role::Backward(spec.index));
    let crossings = spec.crossings().unwrap_or_default();
    let out = crossings.iter().flat_map(Crossing::to_backward);
    let back = crossings.iter().filter_map(|crossing| crossing.returned.as_ref());
    let of = |ends, carried| {
        move |parcel: &Parcel| record(spec.wire, ends, carried, (parcel.form, parcel.content.values.clone()))
    };
    let out = out.map(of([forward, backward], Carried::LayerValues));
    out.chain(back.map(of([backward, forward], Carried::ErrorSignals))).collect()
}

fn record(wire: Kind, ends: [Role; 2], carried: Carried, (form, tensors): (u32, Vec<Value>)) -> LinkRecord {
    LinkRecord::empty(ends, carried, Phase::Train).of(form, tensors, wire)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::microbatch::{MicrobatchHeader, MicrobatchId};
    use proto::spec::graph::{LayerSpec, Op};
    use proto::tensor::TensorData;

    /// The first stage of two.
    fn spec() -> StageSpec {
        let inputs = vec![Value { name: INPUT.into(), shape: vec![2] }];
        StageSpec { stages: 2, ..StageSpec::alone(vec![LayerSpec::new("bias", &[INPUT], Op::Bias)], inputs) }
    }

    fn account(consumed: &Consumed) -> Account {
        let account = Account::default();
        account.begin(&spec(), consumed, Vec::new());
        account
    }

    /// Counts an input and an output of `step` in the start `incarnation`.
    fn train(account: &Account, step: u64, incarnation: u32) {
        let header = MicrobatchHeader {
            run: "run".into(),
            incarnation,
            phase: Phase::Train,
            id: MicrobatchId { step, index: 0 },
            minibatch: 1,
            microbatches: 1,
            offset: 0,
            size: 1,
            form: 0,
        };
        let message = |name: &str, value: f32| {
            let tensor = TensorData::from_f32(vec![1, 2], &[value, step as f32]).unwrap();
            let kind = Value { name: name.into(), shape: vec![2] }.kind(Kind::F32);
            Message { header: header.clone(), tensors: vec![(name.into(), tensor.to_kind(kind).unwrap())] }
        };
        account.add([Role::Coordinator, Role::Stage(0)], Carried::Activations, &message(INPUT, 1.0));
        account.add([Role::Stage(0), Role::Stage(1)], Carried::Activations, &message("bias", 2.0));
    }

    #[test]
    fn a_start_that_broke_off_and_goes_on_has_consumed_the_same() {
        let whole = account(&Consumed::from_here(0));
        for step in 1..=4 {
            train(&whole, step, 1);
            whole.close(step);
        }
        let broken = account(&Consumed::from_here(0));
        (1..=3).for_each(|step| train(&broken, step, 1));
        broken.close(1);
        broken.close(2);
        broken.abandon();
        let text = serde_json::to_string(&broken.consumed()).unwrap();
        let again = account(&serde_json::from_str(&text).unwrap());
        for step in 3..=4 {
            train(&again, step, 2);
            again.close(step);
        }
        assert_eq!(again.consumed(), whole.consumed());
        let messages: Vec<_> = whole.consumed().records.iter().map(|record| record.messages).collect();
        assert_eq!(messages, [4, 0, 4, 0], "inputs and outputs, and no errors in this test");
        assert_ne!(
            account(&Consumed::from_here(2)).consumed().records[0].chain,
            whole.consumed().records[0].chain
        );
        assert_eq!(account(&Consumed::from_here(2)).consumed().since, 2);
        assert_eq!(whole.consumed().for_stage(&spec(), 4), whole.consumed());
        let mut old = whole.consumed();
        old.records[0].kinds = vec![Kind::F32];
        assert_eq!(old.for_stage(&spec(), 4), Consumed::from_here(4), "inputs crossed as numbers");
    }
}
