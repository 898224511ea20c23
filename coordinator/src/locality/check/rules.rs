//! The check of the rules: the update of each layer's B read only the values that its rule declares. The declaration is
//! the coordinator's own specification, never a node's statement. The values read are reported by the node that has the
//! layer's B: the stage, or the backward node of a split layer.

use super::super::findings::{LayerFinding, Verdict, Violation};
use super::super::prediction::learning;
use super::super::words;
use super::{Allowed, Evidence, Ledgers};
use proto::ledger::{LayerReads, Ledger};
use proto::link::Role;
use proto::spec::graph::LayerSpec;
use proto::spec::reads::Reads;
use proto::spec::rule::RuleSpec;
use proto::spec::stage::StageSpec;

/// Checks every weight layer of every stage, by stage: first those whose B the stage has, then those of its backward
/// node.
pub(super) fn check(
    evidence: &Evidence<'_>,
    ledgers: &Ledgers<'_>,
    allowed: Allowed,
    violations: &mut Vec<Violation>,
) -> Vec<LayerFinding> {
    let halves = evidence.stages.iter().flat_map(|spec| [Some(spec.clone()), spec.backward_half()]);
    let mut findings = Vec::new();
    for node in halves.flatten() {
        let Some(ledger) = ledgers.of(node.role()) else { continue };
        let due = usize::from(evidence.complete);
        for layer in learning(&node) {
            findings.push(finding(&node, layer, ledger, due, allowed, violations));
        }
        violations.extend(ledger.layers.iter().filter_map(|reads| unknown(&node, reads)));
    }
    findings
}

/// Checks a layer by the ledger of the node that has its B. The ledger must have `due` records of the layer.
fn finding(
    node: &StageSpec,
    layer: &LayerSpec,
    ledger: &Ledger,
    due: usize,
    allowed: Allowed,
    violations: &mut Vec<Violation>,
) -> LayerFinding {
    let reads: Vec<_> = ledger.layers.iter().filter(|reads| reads.layer == layer.name).collect();
    let read = reads.first().map(|reads| reads.read).unwrap_or_default();
    let (declared, rule) = (layer.rule.reads(), layer.rule.name().to_owned());
    let mut broken = beyond(read, declared, &rule);
    if broken.is_none() && (reads.len() > 1 || reads.len() < due) {
        let count = words::plural(reads.len() as u64, "record");
        broken = Some(format!("the node has {count} of what the rule read, where one is due"));
    }
    let forbidden = (allowed == Allowed::Local && declared.weight).then(|| forbidden(&layer.rule));
    let verdict = Verdict::of(broken.is_none() && forbidden.is_none());
    let all = broken.into_iter().chain(forbidden);
    violations.extend(all.map(|why| violation(node.role(), &rule, &layer.name, why)));
    let (stage, split, name) = (node.index, layer.split, layer.name.clone());
    LayerFinding { stage, split, name, rule, read, declared, verdict }
}

fn violation(node: Role, rule: &str, layer: &str, sentence: String) -> Violation {
    let (link, message) = (words::process(node), format!("rule {rule}"));
    Violation { link, message, tensor: Some(layer.into()), sentence }
}

/// The values that were read although they are not declared.
fn beyond(read: Reads, declared: Reads, rule: &str) -> Option<String> {
    let declares = declared.names();
    let undeclared: Vec<_> = read.names().into_iter().filter(|name| !declares.contains(name)).collect();
    (!undeclared.is_empty()).then(|| {
        format!("the update of B read {}, where {rule} declares {declared}", undeclared.join(" and "))
    })
}

/// The reason why a rule that reads W is not local.
fn forbidden(rule: &RuleSpec) -> String {
    let why = match rule {
        RuleSpec::Backprop => "its B is W itself, which carries the error back".to_owned(),
        RuleSpec::SignSymmetry { .. } => "it gives B the signs of W".to_owned(),
        RuleSpec::Product(_) => "its R takes steps of its own".to_owned(),
        RuleSpec::Learned { coefficients, .. } => {
            let reads = coefficients.terms().filter(|(one, _)| one.reads_weight());
            let reads: Vec<_> =
                reads.map(|(one, value)| format!("{one}, with coefficient {value}")).collect();
            format!("its primitive {}, pulls B to W", reads.join(", and "))
        }
    };
    format!("the rule reads W, which --rules local forbids: {why}")
}

/// The violation of a node that reports the reads of a rule although it does not have the rule's B.
fn unknown(node: &StageSpec, reads: &LayerReads) -> Option<Violation> {
    if learning(node).any(|layer| layer.name == reads.layer) {
        return None;
    }
    let name: String = words::short(&reads.layer);
    let told = format!("the node says what the rule of '{name}' read");
    let layer = node.layers.iter().find(|layer| layer.name == reads.layer && layer.op.is_weight());
    Some(match layer {
        None => {
            let why = format!("{told}, and the stage has no such weight layer");
            violation(node.role(), "of no layer", &name, why)
        }
        Some(layer) => {
            let owner = if layer.split { Role::Backward(node.index) } else { Role::Stage(node.index) };
            let why = format!("{told}, and B of the layer is on {}", words::process(owner));
            violation(node.role(), layer.rule.name(), &name, why)
        }
    })
}
