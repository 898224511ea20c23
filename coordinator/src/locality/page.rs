//! The page of a proof: one HTML file with the drawing of the links, the control planes, the rules and the violations.
//!
//! The drawing goes from the loss at the top to the data at the bottom; the coordinator is at both ends of the ring:
//!
//! ```text
//! coordinator ─ link ─ stage n-1 ─ … ─ stage 0 ─ link ─ coordinator
//! ```

use super::check::Allowed;
use super::findings::{Findings, LayerFinding, LinkFinding, Verdict, Violation};
use super::planes::{Plane, planes};
use super::table::{conclusion, digits, used};
use super::words;
use crate::report::{self, text};
use askama::Template;
use proto::link::{Carried, Role};
use proto::spec::stage::StageSpec;

const STYLE: &str = include_str!("assets/locality.css");

/// The run that a page is about.
#[derive(Clone, Debug)]
pub struct About {
    /// The configuration's name.
    pub title: String,
    /// The facts below the title, such as the schedule.
    pub facts: Vec<String>,
    /// The addresses of the nodes, by stage; empty for nodes of this host.
    pub addresses: Vec<String>,
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
}

/// A box of the drawing.
struct Process<'a> {
    name: String,
    note: String,
    /// The rules of the stage's weight layers.
    layers: Vec<&'a LayerFinding>,
    /// The violations of the stage's rules and of its control plane.
    violations: Vec<&'a Violation>,
}

/// An arrow of the drawing: one direction of a link.
struct Flow<'a> {
    name: &'static str,
    tensors: Vec<String>,
    /// The phases that the direction carries.
    phases: Vec<&'a LinkFinding>,
    violations: Vec<&'a Violation>,
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
        Some(spec) => Process::stage(spec, about, findings),
        None => Process::coordinator("labels and loss"),
    };
    let bottom = below.is_none().then(|| Tier::Process(Process::coordinator("data")));
    [Tier::Process(top), link].into_iter().chain(bottom).collect()
}

impl<'a> Process<'a> {
    fn coordinator(note: &str) -> Self {
        let (layers, violations) = (Vec::new(), Vec::new());
        Self { name: "coordinator".into(), note: note.into(), layers, violations }
    }

    fn stage(spec: &StageSpec, about: &About, findings: &'a Findings) -> Self {
        let role = Role::Stage(spec.index);
        let planes = [words::link(Role::Coordinator, role), words::link(role, Role::Coordinator)];
        let arrows = |violation: &&Violation| findings.links.iter().any(|finding| told(violation, finding));
        let own = |violation: &&Violation| {
            violation.link == words::process(role) || planes.contains(&violation.link) && !arrows(violation)
        };
        Self {
            name: words::process(role),
            note: about.addresses.get(spec.index as usize).cloned().unwrap_or_default(),
            layers: findings.layers.iter().filter(|layer| layer.stage == spec.index).collect(),
            violations: findings.violations.iter().filter(own).collect(),
        }
    }
}

impl<'a> Flow<'a> {
    fn of(from: Role, to: Role, carried: Carried, findings: &'a Findings) -> Self {
        let own = |finding: &&LinkFinding| {
            (finding.record.from, finding.record.to, finding.record.carried) == (from, to, carried)
        };
        let phases: Vec<_> = findings.links.iter().filter(own).collect();
        let mut tensors: Vec<String> =
            phases.iter().flat_map(|finding| &finding.record.tensors).map(words::tensor).collect();
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
        };
        let word = words::kind(carried).replace('_', " ");
        let link = words::link(from, to);
        let told = |violation: &&Violation| violation.link == link && violation.message.ends_with(&word);
        Self { name, tensors, phases, violations: findings.violations.iter().filter(told).collect() }
    }

    /// The number format of the tensors.
    fn format(&self) -> String {
        self.phases
            .first()
            .filter(|_| !self.tensors.is_empty())
            .map_or(String::new(), |f| f.record.kind.to_string())
    }

    /// Whether a check of the direction is violated.
    fn broken(&self) -> bool {
        !self.violations.is_empty()
    }
}

/// Whether a violation is about the messages of a finding.
fn told(violation: &Violation, finding: &LinkFinding) -> bool {
    let record = &finding.record;
    let word = words::kind(record.carried).replace('_', " ");
    violation.link == words::link(record.from, record.to) && violation.message.ends_with(&word)
}

/// The sentence with a capital at its beginning.
fn capital(sentence: &str) -> String {
    let (first, rest) = sentence.split_at(sentence.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// Bytes for people.
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
