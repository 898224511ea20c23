//! The refused messages: a process that refuses a message ends the run, and every refusal is a violation.

use super::super::findings::Violation;
use super::super::words;
use super::Ledgers;
use proto::ledger::Refusal;

/// The violations of all ledgers.
pub(super) fn check(ledgers: &Ledgers<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (role, ledger) in ledgers.all() {
        let violation = |refusal: &Refusal| Violation {
            link: words::link(refusal.from, role),
            message: match refusal.carried {
                Some(carried) => words::kind(carried).replace('_', " "),
                None => "control message".into(),
            },
            tensor: named(&refusal.sentence),
            sentence: format!("{} refused it: {}", words::process(role), refusal.sentence),
        };
        violations.extend(ledger.refusals.iter().map(violation));
    }
    violations
}

/// The tensor that a refusal names: the first name in quotes.
fn named(sentence: &str) -> Option<String> {
    let (_, rest) = sentence.split_once('\'')?;
    rest.split_once('\'').map(|(name, _)| name.to_owned())
}
