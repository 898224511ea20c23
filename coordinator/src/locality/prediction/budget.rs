//! The budgets of the control plane: the number of messages of each kind in a run, and the bytes that they may take.
//!
//! A budget is the size of the widest honest message: every number that the plan knows has its value, and every other
//! number its most digits. Other content has room only in the difference between the widest and the actual digits, some
//! twenty bytes in a report of a step, so the sum shows a leak of more bytes per reply.
//!
//! | message | messages | budget of each |
//! |---|---|---|
//! | describe | 1 | 0: it has no field |
//! | description | 1 | release, device, threads, memory, port, and the snapshots of other runs on the node's disk |
//! | configure | 1 | exact: the stage's specification |
//! | configured | 1 | two numbers |
//! | start | 1 | the run's name, the address of the stage above and that of the backward node, deadlines |
//! | lane | one for each minibatch | exact: the lane |
//! | snapshot | one for each snapshot | the numbers of the snapshots to keep |
//! | align | one for each part of the delay phase | exact: two numbers |
//! | started | 1 | exact: it has no field |
//! | step | one for each minibatch | its counts and times; for each action of the lane two times, and two more for B's part of U; in a step with a timeline, for each message its name, its bytes and three times; where layers are measured, for each weight layer its name, four numbers and whether it is split |
//! | snapshot_done | one for each snapshot | updates, bytes, seconds |
//! | aligned | one for each part of the delay phase | exact: one number |
//! | audit, ledger | one for each question | exact except for the digits of the control plane's bytes: the node's records |
//!
//! A backward node has the same control plane as its stage, with two exceptions: it has no evaluations, which need no
//! B, and its reports have no layers, since it cannot compare B with W.
//!
//! Leaving and failure have no budget: a run with such a message did not end in order.

use super::report::{Reporting, WIDE};
use super::{Minibatch, Work, learning};
use proto::control::{
    Command, Configured, DataAddress, Description, HeldSnapshot, Keep, Report, SnapshotDone, Start,
};
use proto::error::ProtocolError;
use proto::ledger::size::Size;
use proto::ledger::{Chain, ControlMessage, ControlRecord, LayerReads, Ledger, LinkRecord};
use proto::link::Role;
use proto::microbatch::Phase;
use proto::spec::reads::Reads;
use proto::spec::stage::{Half, StageSpec};
use proto::transport::address::MOST_OF_PATH;
use std::time::Duration;

/// The longest address: a host's name of 253 bytes, and a port.
const ADDRESS: usize = 253 + ":65535".len();
/// The longest name of a release.
const WORD: usize = 24;
/// The longest name of a device with its model and its memory, as in `cuda:0 (NVIDIA H200, 139.8 GiB)`.
const DEVICE: usize = 64;
/// The bytes of a run's name: 16 random bytes in hexadecimal.
const RUN: usize = 32;
/// The most snapshots that a command keeps: the one that all nodes have, the best one, and one that may become the
/// best.
const KEPT: usize = 3;

/// The budget of one kind of message in one direction of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// The kind.
    pub message: ControlMessage,
    /// The number of messages.
    pub messages: u64,
    /// The most bytes of all messages together.
    pub bytes: u64,
    /// The most bytes of one message.
    pub largest: u64,
}

impl Budget {
    /// The record of messages that use the whole budget.
    pub fn used(&self) -> ControlRecord {
        let Self { from, to, message, messages, bytes, largest } = *self;
        ControlRecord { from, to, message, messages, bytes, largest, chain: Chain::default() }
    }

    /// The budget of messages of which each may have so many `bytes` more.
    #[must_use]
    pub fn with_room(self, bytes: u64) -> Self {
        let Self { messages, bytes: sum, largest, .. } = self;
        Self { bytes: sum + messages * bytes, largest: largest + bytes, ..self }
    }

    /// The budget of `times` as many messages.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { messages: self.messages * times, bytes: self.bytes.saturating_mul(times), ..self }
    }
}

/// The budgets of all control planes of a run: by stage, and then by backward node, each in the order in which a start
/// needs its messages.
pub(super) fn predict(
    stages: &[StageSpec],
    work: &[Work],
    links: &[LinkRecord],
    held: usize,
) -> Result<Vec<Budget>, ProtocolError> {
    let halves = stages.iter().filter_map(StageSpec::backward_half);
    let nodes: Vec<StageSpec> = stages.iter().cloned().chain(halves).collect();
    let mut all = Vec::new();
    for spec in &nodes {
        let mut plane = Plane { node: spec.role(), budgets: Vec::new() };
        plane.opening(spec, held);
        let reporting = Reporting::of(spec)?;
        let own = work.iter().filter(|work| concerns(work, spec.half));
        own.for_each(|work| plane.work(spec, work, &reporting));
        plane.audit(spec, links);
        all.extend(plane.budgets);
    }
    Ok(all)
}

/// Whether the nodes of this half have a part in the work: an evaluation needs no B.
fn concerns(work: &Work, half: Half) -> bool {
    let Work::Minibatch(minibatch) = work else { return true };
    half == Half::Forward || minibatch.phase == Phase::Train
}

/// The budgets of one node's control plane.
struct Plane {
    node: Role,
    budgets: Vec<Budget>,
}

impl Plane {
    /// Adds one message.
    fn add(&mut self, message: ControlMessage, bytes: u64) {
        if let Some(known) = self.budgets.iter_mut().find(|known| known.message == message) {
            known.messages += 1;
            known.bytes += bytes;
            known.largest = known.largest.max(bytes);
            return;
        }
        let (from, to) = match is_command(message) {
            true => (Role::Coordinator, self.node),
            false => (self.node, Role::Coordinator),
        };
        self.budgets.push(Budget { from, to, message, messages: 1, bytes, largest: bytes });
    }

    /// The messages before the first step.
    fn opening(&mut self, spec: &StageSpec, held: usize) {
        self.add(ControlMessage::Describe, 0);
        self.add(ControlMessage::Description, description(held).size());
        self.add(ControlMessage::Configure, spec.size());
        let configured = Configured { parameters: WIDE, updates: spec.restore.unwrap_or(0) };
        self.add(ControlMessage::Configured, configured.size());
        // A backward node dials nobody.
        let forward = spec.half == Half::Forward;
        let start = Start {
            run: spec.run.clone(),
            incarnation: spec.incarnation,
            above: (forward && spec.index + 1 < spec.stages).then(|| "x".repeat(ADDRESS)),
            backward: (forward && spec.is_split()).then(|| "x".repeat(ADDRESS)),
            connect_deadline: Duration::from_millis(u32::MAX.into()),
            message_deadline: Duration::from_millis(u32::MAX.into()),
        };
        self.add(ControlMessage::Start, Command::Start(start).size());
        self.add(ControlMessage::Started, Report::Started.size());
    }

    fn work(&mut self, spec: &StageSpec, work: &Work, reporting: &Reporting) {
        match work {
            Work::Minibatch(minibatch) => self.minibatch(spec, minibatch, reporting),
            Work::Snapshot => self.snapshot(),
            Work::Align(align) => {
                self.add(ControlMessage::Align, Command::Align(*align).size());
                self.add(ControlMessage::Aligned, Report::Aligned(align.done + align.steps).size());
            }
        }
    }

    fn minibatch(&mut self, spec: &StageSpec, minibatch: &Minibatch, reporting: &Reporting) {
        // A backward node follows the lane of its stage.
        let lane = minibatch.lanes[spec.index as usize].starting_at(minibatch.step);
        let done = reporting.widest(minibatch, &lane);
        let work = minibatch.commands[spec.index as usize].clone();
        self.add(ControlMessage::Lane, Command::Lane(work).size());
        self.add(ControlMessage::Step, Report::Step(done).size());
    }

    fn snapshot(&mut self) {
        // A step's number is far smaller than the widest count: its digits take 5 bytes.
        let keep = Keep(vec![u32::MAX.into(); KEPT]);
        self.add(ControlMessage::Snapshot, Command::Snapshot(keep).size());
        let done = SnapshotDone { updates: u32::MAX.into(), bytes: WIDE, seconds: f64::MAX };
        self.add(ControlMessage::SnapshotDone, Report::Snapshot(done).size());
    }

    /// The question for the ledger, and the ledger that the plan predicts, with the whole budgets used.
    fn audit(&mut self, spec: &StageSpec, links: &[LinkRecord]) {
        let own = links.iter().filter(|link| link.from == self.node || link.to == self.node);
        let crossed: Vec<LinkRecord> = own.cloned().collect();
        let all = Reads { x: true, y: true, error: true, backward: true, weight: true };
        let ledger = Ledger {
            of: self.node,
            run: spec.run.clone(),
            incarnation: spec.incarnation,
            consumed: crossed.iter().filter(|link| link.phase == Phase::Train).cloned().collect(),
            crossed,
            consumed_since: 0,
            control: self.budgets.iter().map(Budget::used).collect(),
            layers: learning(spec).map(|layer| LayerReads { layer: layer.name.clone(), read: all }).collect(),
            refusals: Vec::new(),
        };
        self.add(ControlMessage::Audit, 0);
        self.add(ControlMessage::Ledger, ledger.size());
    }
}

/// The widest description of a node that holds `held` snapshots.
fn description(held: usize) -> Description {
    let word = "x".repeat(WORD);
    let snapshot =
        HeldSnapshot { run: "x".repeat(RUN), updates: u32::MAX.into(), imported: true, tensors: u64::MAX };
    Description {
        version: word,
        protocol: u32::MAX,
        device: "x".repeat(DEVICE),
        threads: u32::MAX,
        memory_total: WIDE,
        memory_available: WIDE,
        data: DataAddress::Path("x".repeat(MOST_OF_PATH)),
        certificate_expires: WIDE,
        run: Some("x".repeat(RUN)),
        snapshots: vec![snapshot; held],
    }
}

/// Whether the coordinator sends messages of this kind.
fn is_command(message: ControlMessage) -> bool {
    use ControlMessage as M;
    match message {
        M::Describe | M::Configure | M::Start | M::Lane | M::Snapshot | M::Align | M::Audit => true,
        M::Description
        | M::Configured
        | M::Started
        | M::Step
        | M::SnapshotDone
        | M::Aligned
        | M::Leaving
        | M::Ledger
        | M::Failure => false,
    }
}
