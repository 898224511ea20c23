//! The findings as text: the links, the control planes, the rules, and the claims that were proven.

use super::check::Allowed;
use super::findings::{Findings, GivenAway, LayerFinding, LinkFinding, Verdict};
use super::planes::{Plane, planes};
use super::words;
use crate::columns::aligned;
use proto::ledger::Chain;

/// The digits of a hash that are shown.
const DIGITS: usize = 8;

/// The tables of all findings, the violations, and a last line with the claims that were proven.
pub fn table(findings: &Findings, allowed: Allowed) -> String {
    let links = findings.links.iter().map(|finding| link(finding, used(findings, finding))).collect();
    let control = planes(&findings.control).iter().map(plane).collect();
    let layers = findings.layers.iter().map(layer).collect();
    let text = [
        aligned(&["link", "message", "tensors", "format"], &LINK_NUMBERS, links),
        aligned(&["control plane", "message"], &CONTROL_NUMBERS, control),
        aligned(&["stage", "layer", "rule", "read", "declares", ""], &[], layers),
    ]
    .join("\n");
    let violations: String =
        findings.violations.iter().map(|violation| format!("violation: {violation}\n")).collect();
    let gap = if violations.is_empty() { "" } else { "\n" };
    text + gap + &violations + "\n" + &conclusion(findings, allowed) + "\n"
}

/// The claims that were proven and those that were not, in one line.
pub fn conclusion(findings: &Findings, allowed: Allowed) -> String {
    let Findings { steps, stages, split, given_away, violations, .. } = findings;
    if let count @ 1.. = violations.len() {
        return format!("locality is not proven: {}", words::plural(count as u64, "violation"));
    }
    let steps = words::plural(*steps, "step");
    let stages = words::plural(*stages as u64, "stage");
    let (nodes, values) = match *split {
        0 => (String::new(), "an activation or an error signal"),
        split => (
            format!(" and {}", words::plural(split as u64, "backward node")),
            "an activation, an error signal or a value of a split layer",
        ),
    };
    let (and, secret) = match given_away {
        GivenAway::Nothing => (", and", ""),
        GivenAway::Outputs => (
            ",",
            ", and that W stays secret from its backward node, since x and y of enough samples determine W",
        ),
        GivenAway::Steps => (
            ",",
            ", and that W stays secret from its backward node, since x and the error at y add up to W's own steps",
        ),
    };
    let rules = match allowed {
        Allowed::Declared => "each rule read only the values that it declares",
        Allowed::Local => "no rule read W",
    };
    format!(
        "no weight crossed a link in {steps} over {stages}{nodes}: every message was {values} of the plan without a spare byte, or a control message within its budget; both ends counted the same messages, and {rules}. Not proven: that a node sent nothing outside its links (a firewall and a capture show that){and} that numbers of the right shape hide nothing{secret}"
    )
}

const LINK_NUMBERS: [&str; 8] = ["messages", "bytes", "hash", "ends", "tensors", "count", "size", "used"];
const CONTROL_NUMBERS: [&str; 7] = ["messages", "bytes", "largest", "budget", "ends", "count", "size"];

/// Whether training consumed the messages that crossed; open for messages that training does not consume.
pub(super) fn used(findings: &Findings, finding: &LinkFinding) -> Verdict {
    let way = |finding: &LinkFinding| finding.record.order();
    let consumed = findings.consumed.iter().find(|consumed| way(consumed) == way(finding));
    consumed.map_or(Verdict::Open, LinkFinding::verdict)
}

fn link(finding: &LinkFinding, used: Verdict) -> Vec<String> {
    let LinkFinding { record, ends, tensors, count, size } = finding;
    let verdicts = [ends, tensors, count, size, &used].map(Verdict::to_string);
    let cells = [
        words::link(record.from, record.to),
        words::message(record.carried, record.phase),
        words::tensors(record),
        if record.tensors.is_empty() { "–".into() } else { words::formats(record) },
        record.messages.to_string(),
        record.bytes.to_string(),
        digits(&record.chain),
    ];
    cells.into_iter().chain(verdicts).collect()
}

/// The first digits of a hash.
pub(super) fn digits(hash: &Chain) -> String {
    hash.to_string().chars().take(DIGITS).collect()
}

fn plane(plane: &Plane) -> Vec<String> {
    let Plane { message, command, messages, bytes, largest, budget, ends, count, size, .. } = plane;
    let nodes = plane.nodes();
    let way = if *command { format!("coordinator → {nodes}") } else { format!("{nodes} → coordinator") };
    let numbers = [messages, bytes, largest, budget].map(u64::to_string);
    let verdicts = [ends, count, size].map(Verdict::to_string);
    let words = [way, words::control(*message).replace('_', " ")];
    words.into_iter().chain(numbers).chain(verdicts).collect()
}

fn layer(finding: &LayerFinding) -> Vec<String> {
    let LayerFinding { stage, split, name, rule, read, declared, verdict } = finding;
    vec![
        if *split { format!("{stage}, backward") } else { stage.to_string() },
        name.clone(),
        rule.clone(),
        read.to_string(),
        declared.to_string(),
        verdict.to_string(),
    ]
}
