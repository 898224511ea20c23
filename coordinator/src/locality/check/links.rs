//! The check of the links: the messages that crossed, and the messages that training consumed.

use super::super::findings::{LinkFinding, Violation};
use super::super::words;
use super::ends::{Compared, Way};
use super::{Evidence, Ledgers};
use proto::ledger::{Ledger, LinkRecord};
use proto::link::Role;
use proto::microbatch::Phase;

/// One of the two accounts that every ledger keeps.
struct Account {
    records: fn(&Ledger) -> &[LinkRecord],
    /// Whether the account has records of this phase.
    covers: fn(Phase) -> bool,
    /// Whether the coordinator keeps the account.
    coordinator: bool,
}

/// Checks the messages that crossed.
pub(super) fn crossed(
    evidence: &Evidence<'_>,
    ledgers: &Ledgers<'_>,
    violations: &mut Vec<Violation>,
) -> Vec<LinkFinding> {
    let account = Account { records: |ledger| &ledger.crossed, covers: |_| true, coordinator: true };
    compare(evidence, ledgers, &account, violations)
}

/// Checks the messages that training consumed. In a run with one start, training consumed every training message that
/// crossed, so the plan is the same. The coordinator trains nothing: where it counts no consumption, the stage's end
/// is compared with the plan alone.
pub(super) fn consumed(
    evidence: &Evidence<'_>,
    ledgers: &Ledgers<'_>,
    violations: &mut Vec<Violation>,
) -> Vec<LinkFinding> {
    if !evidence.complete {
        return Vec::new();
    }
    violations.extend(ledgers.all().filter_map(|(role, ledger)| begins_late(role, ledger)));
    let account = Account {
        records: |ledger| &ledger.consumed,
        covers: |phase| phase == Phase::Train,
        coordinator: !ledgers.coordinator.consumed.is_empty(),
    };
    compare(evidence, ledgers, &account, violations)
}

/// The violation of a ledger whose count of consumed messages lacks its beginning.
fn begins_late(role: Role, ledger: &Ledger) -> Option<Violation> {
    let (process, since) = (words::process(role), ledger.consumed_since);
    let sentence = format!(
        "{process} counted what training consumed after update {since}, where the run began with update 0"
    );
    (since > 0).then(|| Violation { link: process, message: "train".into(), tensor: None, sentence })
}

fn compare(
    evidence: &Evidence<'_>,
    ledgers: &Ledgers<'_>,
    account: &Account,
    violations: &mut Vec<Violation>,
) -> Vec<LinkFinding> {
    let planned = evidence.prediction.links.iter().filter(|record| (account.covers)(record.phase));
    let mut ways: Vec<(Way, Option<&LinkRecord>)> =
        planned.map(|record| (Way::of(record), Some(record))).collect();
    for (role, ledger) in ledgers.all() {
        let records: Vec<_> = counting(account, ledger).collect();
        violations.extend(misplaced(role, &records));
        for way in records.into_iter().map(Way::of) {
            if ways.iter().all(|(known, _)| *known != way) {
                ways.push((way, None));
            }
        }
    }
    let finding = |(way, plan): (Way, Option<&LinkRecord>)| {
        let keeps = |role: &Role| *role != Role::Coordinator || account.coordinator;
        let mut ends: Vec<Role> = [way.from, way.to].into_iter().filter(keeps).collect();
        // The coordinator's own count is trusted most, and then that of the receiver.
        if way.from == Role::Coordinator {
            ends.reverse();
        }
        let count = |role| {
            let records = ledgers.of(role).into_iter().flat_map(|ledger| counting(account, ledger));
            (role, records.into_iter().find(|record| Way::of(record) == way))
        };
        let ends = ends.into_iter().map(count).collect();
        Compared { way, ends, plan, counted: evidence.complete }.finding(violations)
    };
    ways.into_iter().filter_map(finding).collect()
}

/// The records of an account that count a message.
fn counting<'a>(account: &Account, ledger: &'a Ledger) -> impl Iterator<Item = &'a LinkRecord> + use<'a> {
    (account.records)(ledger).iter().filter(|record| record.messages > 0)
}

/// The violations of records that a ledger has twice, or that belong to a link of other processes.
fn misplaced(role: Role, records: &[&LinkRecord]) -> Vec<Violation> {
    let process = words::process(role);
    let mut violations = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let way = Way::of(record);
        let why = if way.from != role && way.to != role {
            format!("{process} counted messages of a link that it is no end of")
        } else if records[..at].iter().any(|earlier| Way::of(earlier) == way) {
            format!("{process} has two records of it")
        } else {
            continue;
        };
        violations.push(way.violation(words::names(record), why));
    }
    violations
}
