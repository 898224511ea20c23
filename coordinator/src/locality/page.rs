//! The page of a proof: one HTML file with the drawing of the links, the control planes, the rules and the violations.
//!
//! The drawing goes from the loss at the top to the data at the bottom. The coordinator is at both ends of the ring,
//! and the backward node of a split stage is beside the stage:
//!
//! ```text
//! coordinator ─ link ─ stage n-1 ─ … ─ stage 0 ─ link ─ coordinator
//!                         │
//!                      backward
//! ```

use super::check::Allowed;
use super::findings::{Findings, LayerFinding, LinkFinding, Verdict, Violation};
use super::planes::{Plane, planes};
use super::table::{conclusion, digits, used};
use super::words;
use crate::report::{self, text};
use askama::Template;
use proto::ledger::LinkRecord;
use proto::link::{Carried, Role};
use proto::microbatch::Phase;
use proto::spec::stage::StageSpec;

const STYLE: &str = include_str!("assets/locality.css");

/// The run that a page is about.
#[derive(Clone, Debug)]
pub struct About {
    /// The configuration's name.
    pub title: String,
    /// The facts below the title, such as the schedule.
    pub facts: Vec<String>,
    /// The addresses of the nodes, each with what carries the data to it; empty for nodes of this host.
    pub addresses: Vec<(Role, String)>,
}

/// One self-contained page. It opens without a network and is a function of its arguments alone.
pub fn page(about: &About, stages: &[StageSpec], findings: &Findings, allowed: Allowed) -> String {
    let ring = (0..=stages.len()).rev().flat_map(|cut| tiers(cut, about, stages, findings));
    let page = Page {
        about,
        findings,
        ring: ring.collect(),
        planes: planes(&findings.control),
        conclusion: capital(&conclusion(findings, allowed)),
    };
    page.to_string()
}

/// The page's template.
#[derive(Template)]
#[template(path = "locality/page.html", whitespace = "minimize")]
struct Page<'a> {
    about: &'a About,
    findings: &'a Findings,
    ring: Vec<Tier<'a>>,
    planes: Vec<Plane>,
    conclusion: String,
}

/// A part of the drawing, from the top down.
enum Tier<'a> {
    Process(Process<'a>),
    Link { up: Flow<'a>, down: Flow<'a> },
    Halves(Box<Halves<'a>>),
}

/// The halves of a stage that is split, and the link between them.
struct Halves<'a> {
    forward: Process<'a>,
    there: Flow<'a>,
    back: Flow<'a>,
    backward: Process<'a>,
}

/// A box of the drawing.
struct Process<'a> {
    name: String,
    note: String,
    /// Whether the process is both ends of the ring.
    ends: bool,
    /// The rules of the weight layers whose B the node has.
    layers: Vec<&'a LayerFinding>,
    /// The weight layers whose B the stage's backward node has.
    apart: Vec<&'a LayerFinding>,
    /// The violations of the node's rules and of its control plane.
    violations: Vec<&'a Violation>,
}

/// An arrow of the drawing: one direction of a link.
struct Flow<'a> {
    name: &'static str,
    tensors: Vec<String>,
    /// The number format of the tensors; empty where there is none.
    format: String,
    counts: Vec<Count>,
    violations: Vec<&'a Violation>,
}

/// The messages of a direction in one phase.
struct Count {
    phase: Phase,
    messages: u64,
    bytes: u64,
}

/// The link at `cut`, with the process above it; below the first link, the coordinator as well.
fn tiers<'a>(cut: usize, about: &About, stages: &'a [StageSpec], findings: &'a Findings) -> Vec<Tier<'a>> {
    let role = |stage: Option<&StageSpec>| stage.map_or(Role::Coordinator, |stage| Role::Stage(stage.index));
    let (below, above) = (cut.checked_sub(1).map(|at| &stages[at]), stages.get(cut));
    let flow = |from, to, carried| Flow::of(from, to, carried, findings);
    let link = Tier::Link {
        up: flow(role(below), role(above), Carried::Activations),
        down: flow(role(above), role(below), Carried::ErrorSignals),
    };
    let top = match above {
        Some(spec) => stage(spec, about, findings),
        None => Tier::Process(Process::coordinator("labels and loss")),
    };
    let bottom = below.is_none().then(|| Tier::Process(Process::coordinator("data")));
    [top, link].into_iter().chain(bottom).collect()
}

/// A stage, with its backward node if it is split.
fn stage<'a>(spec: &StageSpec, about: &About, findings: &'a Findings) -> Tier<'a> {
    let [forward, backward] = [Role::Stage(spec.index), Role::Backward(spec.index)];
    let process = |role| Process::node(role, about, findings);
    match spec.is_split() {
        false => Tier::Process(process(forward)),
        true => Tier::Halves(Box::new(Halves {
            forward: process(forward),
            there: Flow::of(forward, backward, Carried::LayerValues, findings),
            back: Flow::of(backward, forward, Carried::ErrorSignals, findings),
            backward: process(backward),
        })),
    }
}

impl About {
    fn address(&self, role: Role) -> String {
        let known = self.addresses.iter().find(|(of, _)| *of == role);
        known.map(|(_, address)| address.clone()).unwrap_or_default()
    }
}

impl<'a> Process<'a> {
    fn coordinator(note: &str) -> Self {
        let (name, note) = ("coordinator".into(), note.into());
        Self { name, note, ends: true, layers: Vec::new(), apart: Vec::new(), violations: Vec::new() }
    }

    fn node(role: Role, about: &About, findings: &'a Findings) -> Self {
        let planes = [words::link(Role::Coordinator, role), words::link(role, Role::Coordinator)];
        let arrows = |violation: &&Violation| findings.links.iter().any(|finding| told(violation, finding));
        let own = |violation: &&Violation| {
            violation.link == words::process(role) || planes.contains(&violation.link) && !arrows(violation)
        };
        let apart = |layer: &&LayerFinding| layer.split && Role::Stage(layer.stage) == role;
        Self {
            name: words::process(role),
            note: about.address(role),
            ends: false,
            layers: findings.layers.iter().filter(|layer| layer.node() == role).collect(),
            apart: findings.layers.iter().filter(apart).collect(),
            violations: findings.violations.iter().filter(own).collect(),
        }
    }
}

impl<'a> Flow<'a> {
    fn of(from: Role, to: Role, carried: Carried, findings: &'a Findings) -> Self {
        let own = |finding: &&LinkFinding| {
            (finding.record.from, finding.record.to, finding.record.carried) == (from, to, carried)
        };
        let records: Vec<_> = findings.links.iter().filter(own).map(|finding| &finding.record).collect();
        let mut tensors: Vec<String> =
            records.iter().flat_map(|record| &record.tensors).map(words::tensor).collect();
        let mut seen = Vec::new();
        tensors.retain(|tensor| {
            !seen.contains(tensor) && {
                seen.push(tensor.clone());
                true
            }
        });
        let name = match carried {
            Carried::Activations => "activations",
            Carried::ErrorSignals if tensors.is_empty() => "done",
            Carried::ErrorSignals => "error signals",
            Carried::LayerValues => "layer values",
        };
        let word = words::kind(carried).replace('_', " ");
        let link = words::link(from, to);
        let told = |violation: &&Violation| violation.link == link && violation.message.ends_with(&word);
        let format = records.first().filter(|_| !tensors.is_empty());
        Self {
            format: format.map_or(String::new(), |record| words::formats(record)),
            counts: Count::all(&records),
            name,
            tensors,
            violations: findings.violations.iter().filter(told).collect(),
        }
    }

    /// Whether a check of the direction is violated.
    fn broken(&self) -> bool {
        !self.violations.is_empty()
    }
}

impl Count {
    /// The messages of all forms together, by phase.
    fn all(records: &[&LinkRecord]) -> Vec<Self> {
        let of = |phase| {
            let of_phase = records.iter().filter(|record| record.phase == phase);
            let (messages, bytes) = of_phase
                .fold((0, 0), |(messages, bytes), record| (messages + record.messages, bytes + record.bytes));
            (messages > 0).then_some(Self { phase, messages, bytes })
        };
        [Phase::Train, Phase::Evaluate].into_iter().filter_map(of).collect()
    }
}

/// Whether a violation is about the messages of a finding.
fn told(violation: &Violation, finding: &LinkFinding) -> bool {
    let record = &finding.record;
    let word = words::kind(record.carried).replace('_', " ");
    violation.link == words::link(record.from, record.to) && violation.message.ends_with(&word)
}

/// The tensors of a record between the halves of a stage, whose messages have several forms.
fn of_halves(record: &LinkRecord) -> Option<String> {
    let halves = [record.from, record.to].iter().any(|role| matches!(role, Role::Backward(_)));
    words::names(record).filter(|_| halves)
}

/// The sentence with a capital at its beginning.
fn capital(sentence: &str) -> String {
    let (first, rest) = sentence.split_at(sentence.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// Bytes in a readable unit.
fn bytes(bytes: &u64) -> text::Bytes {
    text::Bytes(Some(*bytes))
}

/// The class of a verdict's text.
fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "good",
        Verdict::Broken => "bad",
        Verdict::Open => "open",
    }
}
