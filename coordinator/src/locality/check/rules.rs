//! The check of the rules: the update of each layer's B read only what its rule declares. The declaration is the
//! coordinator's own specification, and never the word of a node.

use super::super::findings::{LayerFinding, Verdict, Violation};
use super::super::prediction::weight_layers;
use super::super::words;
use super::{Allowed, Evidence, Ledgers};
use proto::ledger::LayerReads;
use proto::link::Role;

use proto::spec::reads::Reads;
use proto::spec::rule::{Primitive, RuleSpec};
use proto::spec::stage::StageSpec;

/// Checks every weight layer of every stage.
pub(super) fn check(
    evidence: &Evidence<'_>,
    ledgers: &Ledgers<'_>,
    allowed: Allowed,
    violations: &mut Vec<Violation>,
) -> Vec<LayerFinding> {
    let mut findings = Vec::new();
    for spec in evidence.stages {
        let Some(ledger) = ledgers.of(Role::Stage(spec.index)) else { continue };
        for name in weight_layers(spec) {
            let Some(layer) = spec.layers.iter().find(|layer| layer.name == name) else { continue };
            let reads: Vec<_> = ledger.layers.iter().filter(|reads| reads.layer == name).collect();
            let read = reads.first().map(|reads| reads.read).unwrap_or_default();
            let (declared, rule) = (layer.rule.reads(), layer.rule.name().to_owned());
            let mut broken = beyond(read, declared, &rule);
            let due = usize::from(evidence.complete);
            if broken.is_none() && (reads.len() > 1 || reads.len() < due) {
                let count = words::plural(reads.len() as u64, "record");
                broken = Some(format!("the node has {count} of what the rule read, where one is due"));
            }
            let forbidden = (allowed == Allowed::Local && declared.weight).then(|| forbidden(&layer.rule));
            let verdict = Verdict::of(broken.is_none() && forbidden.is_none());
            let all = broken.into_iter().chain(forbidden);
            violations.extend(all.map(|why| violation(spec, &rule, name, why)));
            findings.push(LayerFinding {
                stage: spec.index,
                name: name.into(),
                rule,
                read,
                declared,
                verdict,
            });
        }
        violations.extend(ledger.layers.iter().filter_map(|reads| unknown(spec, reads)));
    }
    findings
}

fn violation(spec: &StageSpec, rule: &str, layer: &str, sentence: String) -> Violation {
    let (link, message) = (words::process(Role::Stage(spec.index)), format!("rule {rule}"));
    Violation { link, message, tensor: Some(layer.into()), sentence }
}

/// What was read and is not declared.
fn beyond(read: Reads, declared: Reads, rule: &str) -> Option<String> {
    let declares = declared.names();
    let undeclared: Vec<_> = read.names().into_iter().filter(|name| !declares.contains(name)).collect();
    (!undeclared.is_empty()).then(|| {
        format!("the update of B read {}, where {rule} declares {declared}", undeclared.join(" and "))
    })
}

/// Why a rule that reads W is not local.
fn forbidden(rule: &RuleSpec) -> String {
    let why = match rule {
        RuleSpec::Backprop => "its B is W itself, which carries the error back".to_owned(),
        RuleSpec::SignSymmetry { .. } => "it gives B the signs of W".to_owned(),
        RuleSpec::Learned { coefficients, .. } => {
            format!(
                "its primitive self, with coefficient {}, pulls B to W",
                coefficients.of(Primitive::Self_)
            )
        }
    };
    format!("the rule reads W, which --rules local forbids: {why}")
}

fn unknown(spec: &StageSpec, reads: &LayerReads) -> Option<Violation> {
    let known = weight_layers(spec).any(|name| name == reads.layer);
    let layer: String = words::short(&reads.layer);
    let why =
        format!("the node says what the rule of '{layer}' read, and the stage has no such weight layer");
    (!known).then(|| violation(spec, "of no layer", &layer, why))
}
