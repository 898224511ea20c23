//! The comparison of the two ends of a link with each other and with the plan.

use super::super::findings::{LinkFinding, Verdict, Violation};
use super::super::words;
use proto::ledger::LinkRecord;
use proto::link::{Carried, Role};
use proto::microbatch::Phase;

/// One phase and form in one direction of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub from: Role,
    pub to: Role,
    pub carried: Carried,
    pub phase: Phase,
    pub form: u32,
}

impl Way {
    pub(super) fn of(record: &LinkRecord) -> Self {
        let LinkRecord { from, to, carried, phase, form, .. } = *record;
        Self { from, to, carried, phase, form }
    }

    pub(super) fn violation(&self, tensor: Option<String>, sentence: String) -> Violation {
        let (link, message) = (words::link(self.from, self.to), words::message(self.carried, self.phase));
        Violation { link, message, tensor, sentence }
    }
}

/// The check that a field belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Tensors,
    Count,
    Size,
    /// Only the ends are compared, since no plan knows the numbers that cross.
    Hash,
}

/// A field of a record, and the words around its value.
struct Field {
    words: [&'static str; 2],
    check: Check,
    of: fn(&LinkRecord) -> String,
}

impl Field {
    /// The value at one end or at both, as in `counted 9 messages`.
    fn told(&self, value: &str) -> String {
        let [before, after] = self.words;
        format!("{before} {value}{after}")
    }
}

/// The fields in the order in which a difference explains those after it.
const FIELDS: [Field; 7] = [
    Field { words: ["counted the tensors", ""], check: Check::Tensors, of: words::tensors },
    Field { words: ["counted tensors in", ""], check: Check::Tensors, of: words::formats },
    Field { words: ["counted", " messages"], check: Check::Count, of: |record| record.messages.to_string() },
    Field { words: ["counted", " samples"], check: Check::Count, of: |record| record.samples.to_string() },
    Field {
        words: ["counted", " bytes of tensors"],
        check: Check::Size,
        of: |record| record.payload.to_string(),
    },
    Field { words: ["counted", " bytes"], check: Check::Size, of: |record| record.bytes.to_string() },
    Field { words: ["came to the hash", ""], check: Check::Hash, of: |record| record.chain.to_string() },
];

/// The records of one way: of its ends, the most trusted last, and the plan's.
pub(super) struct Compared<'a> {
    pub way: Way,
    pub ends: Vec<(Role, Option<&'a LinkRecord>)>,
    pub plan: Option<&'a LinkRecord>,
    /// Whether counts are compared. In a run that broke off they may differ, since messages were under way.
    pub counted: bool,
}

impl Compared<'_> {
    /// The finding; `None` where neither the plan nor an end has a message.
    pub(super) fn finding(&self, violations: &mut Vec<Violation>) -> Option<LinkFinding> {
        let records: Vec<_> =
            self.ends.iter().filter_map(|(role, record)| Some((*role, (*record)?))).collect();
        let trusted = records.last().map(|(_, record)| *record);
        let Some(plan) = self.plan else {
            let record = trusted?;
            violations.push(self.unplanned(&records));
            return Some(finding(record, [Verdict::Broken; 4]));
        };
        let whole = records.len() == self.ends.len();
        if self.counted && !whole {
            violations.push(self.missing(plan));
        }
        let before = violations.len();
        for group in [&FIELDS[..2], &FIELDS[2..]] {
            let found = group.iter().filter(|field| self.counted || field.check == Check::Tensors);
            violations.extend(found.filter_map(|field| self.differs(field, &records, plan)).next());
        }
        let broken = violations.len() > before;
        let Some(record) = trusted else {
            let open = Verdict::of(!self.counted);
            return self.counted.then(|| finding(plan, [open; 4]));
        };
        let alike =
            |field: &Field| records.windows(2).all(|pair| (field.of)(pair[0].1) == (field.of)(pair[1].1));
        let planned = |check: Check| {
            let as_planned =
                |field: &Field| records.iter().all(|(_, record)| (field.of)(record) == (field.of)(plan));
            Verdict::of(whole && FIELDS.iter().filter(|field| field.check == check).all(as_planned))
        };
        let if_counted = |verdict| if self.counted { verdict } else { Verdict::Open };
        let ends = match self.ends.len() {
            1 => Verdict::Open,
            _ => if_counted(Verdict::of(whole && FIELDS.iter().all(alike))),
        };
        let tensors = if broken || whole { planned(Check::Tensors) } else { Verdict::Broken };
        Some(finding(
            record,
            [ends, tensors, if_counted(planned(Check::Count)), if_counted(planned(Check::Size))],
        ))
    }

    /// The violation of a field in which the ends differ from each other or from the plan.
    fn differs(
        &self,
        field: &Field,
        records: &[(Role, &LinkRecord)],
        plan: &LinkRecord,
    ) -> Option<Violation> {
        let due = (field.of)(plan);
        let planned = field.check != Check::Hash;
        let found: Vec<(Role, String)> =
            records.iter().map(|(role, record)| (*role, (field.of)(record))).collect();
        let (first, others) = found.split_first()?;
        let alike = others.iter().all(|(_, value)| *value == first.1);
        if alike && (!planned || first.1 == due) {
            return None;
        }
        let counted = if alike { vec![self.together(field.told(&first.1))] } else { each(&found, field) };
        let due = if planned { format!(", where the plan has {due}") } else { String::new() };
        let odd = records.iter().find_map(|(_, record)| odd_tensor(record, plan));
        let tensor = odd.or_else(|| words::names(plan));
        Some(self.way.violation(tensor, format!("{}{due}", counted.join(" and "))))
    }

    /// The value that all ends counted.
    fn together(&self, told: String) -> String {
        match &self.ends[..] {
            [(role, _)] => format!("{} {told}", words::process(*role)),
            _ => format!("both ends {told}"),
        }
    }

    fn unplanned(&self, records: &[(Role, &LinkRecord)]) -> Violation {
        let counted: Vec<String> = records
            .iter()
            .map(|(role, record)| {
                let (count, tensors) = (words::plural(record.messages, "message"), words::tensors(record));
                format!("{} counted {count} with the tensors {tensors}", words::process(*role))
            })
            .collect();
        let tensor = records.first().and_then(|(_, record)| words::names(record));
        self.way.violation(tensor, format!("{}, where the plan has no message", counted.join(" and ")))
    }

    fn missing(&self, plan: &LinkRecord) -> Violation {
        let counted = |(role, record): &(Role, Option<&LinkRecord>)| {
            let count = record.map_or(0, |record| record.messages);
            format!("{} counted {}", words::process(*role), words::plural(count, "message"))
        };
        let counted: Vec<String> = self.ends.iter().map(counted).collect();
        let (counted, due) = (counted.join(" and "), plan.messages);
        self.way.violation(words::names(plan), format!("{counted}, where the plan has {due}"))
    }
}

fn finding(record: &LinkRecord, [ends, tensors, count, size]: [Verdict; 4]) -> LinkFinding {
    LinkFinding { record: record.clone(), ends, tensors, count, size }
}

fn each(found: &[(Role, String)], field: &Field) -> Vec<String> {
    let told = |(role, value): &(Role, String)| format!("{} {}", words::process(*role), field.told(value));
    found.iter().map(told).collect()
}

/// The first tensor that differs from the plan's, or that is missing.
fn odd_tensor(record: &LinkRecord, plan: &LinkRecord) -> Option<String> {
    let odd = record.tensors.iter().find(|value| !plan.tensors.contains(value));
    let missing = plan.tensors.iter().find(|value| !record.tensors.contains(value));
    odd.or(missing).map(|value| value.name.clone())
}
