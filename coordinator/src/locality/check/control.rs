//! The check of the control planes: all messages are known, as many as the commands require, within their budgets, and
//! counted alike at both ends.

use super::super::findings::{ControlFinding, Verdict, Violation};
use super::super::prediction::Budget;
use super::super::words;
use super::{Evidence, Ledgers};
use proto::ledger::size::Size;
use proto::ledger::{ControlMessage, ControlRecord, Ledger};
use proto::link::Role;

/// The most bytes of the tag and the length before a refusal.
const FIELD: u64 = 4;

/// One kind of message in one direction of a control plane.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    from: Role,
    to: Role,
    message: ControlMessage,
}

impl Way {
    fn of(record: &ControlRecord) -> Self {
        Self { from: record.from, to: record.to, message: record.message }
    }

    fn violation(self, sentence: String) -> Violation {
        let (link, message) =
            (words::link(self.from, self.to), words::control(self.message).replace('_', " "));
        Violation { link, message, tensor: None, sentence }
    }

    /// Whether these messages are questions for a ledger, or their answers. The ledgers are fetched again until both
    /// ends agree.
    fn is_of_an_audit(self) -> bool {
        matches!(self.message, ControlMessage::Audit | ControlMessage::Ledger)
    }

    /// The node at one end.
    fn node(self) -> Role {
        if self.from == Role::Coordinator { self.to } else { self.from }
    }

    /// Whether the node counts these messages too. Questions before and after a start belong to no start of the node's.
    fn has_two_ends(self) -> bool {
        use ControlMessage as M;
        !matches!(self.message, M::Describe | M::Description | M::Audit | M::Ledger)
    }

    fn find(self, ledger: &Ledger) -> Option<&ControlRecord> {
        counting(ledger).find(|record| Self::of(record) == self)
    }
}

/// Checks the control planes of all nodes.
pub(super) fn check(
    evidence: &Evidence<'_>,
    ledgers: &Ledgers<'_>,
    violations: &mut Vec<Violation>,
) -> Vec<ControlFinding> {
    let budget = |budget: &Budget| {
        let Budget { from, to, message, .. } = *budget;
        (Way { from, to, message }, Some(*budget))
    };
    let mut ways: Vec<(Way, Option<Budget>)> = evidence.prediction.control.iter().map(budget).collect();
    for (role, ledger) in ledgers.all() {
        let records: Vec<_> = counting(ledger).collect();
        violations.extend(misplaced(role, &records));
        for way in records.into_iter().map(Way::of) {
            if ways.iter().all(|(known, _)| *known != way) {
                ways.push((way, None));
            }
        }
    }
    let finding = |(way, budget): (Way, Option<Budget>)| {
        let times = if way.is_of_an_audit() { audits(way.node(), ledgers) } else { 1 };
        let room = |budget: Budget| budget.with_room(refused(way, ledgers)).times(times);
        finding(way, budget.map(room), evidence.complete, ledgers, violations)
    };
    ways.into_iter().filter_map(finding).collect()
}

/// The bytes of the refusals in a node's ledger, which no plan foresees and which are violations of their own.
fn refused(way: Way, ledgers: &Ledgers<'_>) -> u64 {
    let ledger = ledgers.of(way.node()).filter(|_| way.message == ControlMessage::Ledger);
    ledger.map_or(0, |ledger| ledger.refusals.iter().map(|refusal| refusal.size() + FIELD).sum())
}

/// The number of times that the coordinator asked a node for its ledger, at least one.
fn audits(node: Role, ledgers: &Ledgers<'_>) -> u64 {
    let asked = Way { from: Role::Coordinator, to: node, message: ControlMessage::Audit };
    asked.find(ledgers.coordinator).map_or(1, |record| record.messages)
}

fn counting(ledger: &Ledger) -> impl Iterator<Item = &ControlRecord> {
    ledger.control.iter().filter(|record| record.messages > 0)
}

fn finding(
    way: Way,
    budget: Option<Budget>,
    complete: bool,
    ledgers: &Ledgers<'_>,
    violations: &mut Vec<Violation>,
) -> Option<ControlFinding> {
    let own = way.find(ledgers.coordinator);
    let node = ledgers.of(way.node()).filter(|_| way.has_two_ends());
    let nodes = node.and_then(|ledger| way.find(ledger));
    let compared = complete && node.is_some();
    let mut broken = Vec::new();
    if compared && let Some(why) = ends(way, own, nodes) {
        broken.push(why);
    }
    let ends = if compared { Verdict::of(broken.is_empty()) } else { Verdict::Open };
    let due = budget.map_or(0, |budget| budget.messages);
    let counted = own.or(nodes);
    let messages = counted.map_or(0, |record| record.messages);
    let count = if complete { Verdict::of(messages == due) } else { Verdict::Open };
    // Where the ends differ, the check goes by the coordinator's count.
    if count == Verdict::Broken && broken.is_empty() {
        broken.push(format!("{} where the run has {due}", words::plural(messages, "message")));
    }
    let over = budget.zip(counted).and_then(|(budget, record)| over(&budget, record));
    let size = match budget {
        None if !complete => Verdict::Open,
        None => Verdict::Broken,
        Some(_) => Verdict::of(over.is_none()),
    };
    if let Some(why) = over.filter(|_| broken.is_empty()) {
        broken.push(why);
    }
    violations.extend(broken.into_iter().map(|why| way.violation(why)));
    Some(ControlFinding { record: counted?.clone(), budget, ends, count, size })
}

/// The difference between the ends.
fn ends(way: Way, own: Option<&ControlRecord>, node: Option<&ControlRecord>) -> Option<String> {
    let process = words::process(way.node());
    let fields: [fn(&ControlRecord) -> String; 4] = [
        |record| format!("counted {}", words::plural(record.messages, "message")),
        |record| format!("counted {} bytes", record.bytes),
        |record| format!("counted {} bytes in the largest message", record.largest),
        |record| format!("came to the hash {}", record.chain),
    ];
    let (own, node) = match (own, node) {
        (None, None) => return None,
        (Some(own), Some(node)) => (own, node),
        (own, node) => {
            let count =
                |record: Option<&ControlRecord>| words::plural(record.map_or(0, |r| r.messages), "message");
            return Some(format!(
                "the coordinator counted {} and {process} counted {}",
                count(own),
                count(node)
            ));
        }
    };
    let of = fields.into_iter().find(|of| of(own) != of(node))?;
    Some(format!("the coordinator {} and {process} {}", of(own), of(node)))
}

/// The excess over the budget.
fn over(budget: &Budget, record: &ControlRecord) -> Option<String> {
    let Budget { bytes, largest, messages, .. } = *budget;
    if record.largest > largest {
        return Some(format!(
            "a message of {} bytes, where the widest honest message has {largest}",
            record.largest
        ));
    }
    (record.bytes > bytes && record.messages <= messages).then(|| {
        format!(
            "{} of {} bytes together, where the widest honest messages have {bytes}",
            words::plural(record.messages, "message"),
            record.bytes
        )
    })
}

/// The violations of records that a ledger has twice, or that belong to the control plane of other processes.
fn misplaced(role: Role, records: &[&ControlRecord]) -> Vec<Violation> {
    let process = words::process(role);
    let mut violations = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let way = Way::of(record);
        let planes = [way.from, way.to].contains(&Role::Coordinator);
        let why = if !planes || way.from != role && way.to != role {
            format!("{process} counted messages of a control plane that it is no end of")
        } else if records[..at].iter().any(|earlier| Way::of(earlier) == way) {
            format!("{process} has two records of it")
        } else {
            continue;
        };
        violations.push(way.violation(why));
    }
    violations
}
