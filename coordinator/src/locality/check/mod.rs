//! The check of a run's ledgers against its prediction: a pure function, which trusts no single process.
//!
//! ```text
//! prediction ─┐
//! coordinator's ledger ─┼─▶ refusals, links, consumed, control, rules ─▶ Findings
//! every node's ledger ──┘
//! ```

mod control;
mod ends;
mod given_away;
mod links;
mod refusals;
mod rules;
#[cfg(test)]
mod tests;

use super::findings::{Findings, Violation};
use super::prediction::Prediction;
use super::words;
use proto::ledger::Ledger;
use proto::link::Role;
use proto::spec::stage::StageSpec;

/// Everything that is known about a run.
pub struct Evidence<'a> {
    /// The specifications of the stages, as the coordinator sent them.
    pub stages: &'a [StageSpec],
    /// The messages that the run should have.
    pub prediction: &'a Prediction,
    /// The coordinator's ledger.
    pub coordinator: &'a Ledger,
    /// The ledgers of the nodes that answered, each with the role of the node that was asked.
    pub nodes: &'a [(Role, Ledger)],
    /// Whether the run ended in order. In any other run no counts are compared, because messages were under way.
    pub complete: bool,
}

/// The rules that a proof allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Every rule, as long as it reads only the values that it declares.
    Declared,
    /// Only rules that do not read W.
    Local,
}

/// Checks `evidence`. The violations come in the order of their gravity: refused messages, then links, control planes
/// and rules.
pub fn check(evidence: &Evidence<'_>, allowed: Allowed) -> Findings {
    let ledgers = Ledgers { coordinator: evidence.coordinator, nodes: evidence.nodes };
    let mut violations = refusals::check(&ledgers);
    violations.extend(belonging(evidence, &ledgers));
    let links = links::crossed(evidence, &ledgers, &mut violations);
    let consumed = links::consumed(evidence, &ledgers, &mut violations);
    let control = control::check(evidence, &ledgers, &mut violations);
    let layers = rules::check(evidence, &ledgers, allowed, &mut violations);
    let (steps, stages) = (evidence.prediction.steps, evidence.stages.len());
    let split = evidence.stages.iter().filter(|spec| spec.is_split()).count();
    let given_away = given_away::of(evidence.stages);
    Findings { links, consumed, control, layers, violations, steps, stages, split, given_away }
}

/// The ledgers by process.
struct Ledgers<'a> {
    coordinator: &'a Ledger,
    nodes: &'a [(Role, Ledger)],
}

impl<'a> Ledgers<'a> {
    /// The ledger of a process, if the process answered.
    fn of(&self, role: Role) -> Option<&'a Ledger> {
        self.all().find(|(process, _)| *process == role).map(|(_, ledger)| ledger)
    }

    /// Every ledger, with the process that it belongs to.
    fn all(&self) -> impl Iterator<Item = (Role, &'a Ledger)> {
        let nodes = self.nodes.iter().map(|(role, ledger)| (*role, ledger));
        std::iter::once((Role::Coordinator, self.coordinator)).chain(nodes)
    }
}

/// Whether each ledger is that of its process, in this run and this start.
fn belonging(evidence: &Evidence<'_>, ledgers: &Ledgers<'_>) -> Vec<Violation> {
    let Some(first) = evidence.stages.first() else { return Vec::new() };
    let (run, incarnation) = (&first.run, first.incarnation);
    let foreign = |(role, ledger): (Role, &Ledger)| {
        let right = ledger.of == role && ledger.run == *run && ledger.incarnation == incarnation;
        let process = words::process(role);
        (!right).then(|| Violation {
            sentence: format!(
                "{process} answered with the ledger of {} in start {} of run '{}', where its own in start {incarnation} of run '{run}' is due",
                words::process(ledger.of),
                ledger.incarnation,
                words::short(&ledger.run)
            ),
            link: process,
            message: "ledger".into(),
            tensor: None,
        })
    };
    ledgers.all().filter_map(foreign).collect()
}
