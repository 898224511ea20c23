//! The findings as JSON, with the names of the contract.

use super::findings::{Findings, LayerFinding, LinkFinding, Violation};
use super::words;
use proto::ledger::{ControlRecord, LinkRecord};
use proto::spec::graph::Value;
use proto::tensor::Kind;
use serde::Serialize;

/// One JSON object, with a newline behind it.
///
/// # Errors
/// No error in practice: every value is a number or a string.
pub fn json(findings: &Findings) -> serde_json::Result<String> {
    let json = Json {
        links: links(&findings.links),
        consumed: links(&findings.consumed),
        control: findings.control.iter().map(|finding| Control::of(&finding.record)).collect(),
        layers: findings.layers.iter().map(Layer::of).collect(),
        violations: &findings.violations,
        steps: findings.steps,
        stages: findings.stages,
        backward_nodes: findings.split,
    };
    Ok(serde_json::to_string(&json)? + "\n")
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_first(form: &u32) -> bool {
    *form == 0
}

fn links(findings: &[LinkFinding]) -> Vec<Link<'_>> {
    findings.iter().map(|finding| Link::of(&finding.record)).collect()
}

#[derive(Serialize)]
struct Json<'a> {
    links: Vec<Link<'a>>,
    consumed: Vec<Link<'a>>,
    control: Vec<Control>,
    layers: Vec<Layer<'a>>,
    violations: &'a [Violation],
    steps: u64,
    stages: usize,
    /// Absent where no stage is split.
    #[serde(skip_serializing_if = "is_zero")]
    backward_nodes: usize,
}

#[derive(Serialize)]
struct Link<'a> {
    from: String,
    to: String,
    kind: &'static str,
    phase: String,
    /// Absent for form 0, which is the only one between neighbours.
    #[serde(skip_serializing_if = "is_first")]
    form: u32,
    tensors: Vec<Tensor<'a>>,
    messages: u64,
    bytes: u64,
    payload: u64,
    hash: String,
}

/// A tensor; the shape is that of one sample.
#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    format: Kind,
    shape: &'a [u64],
}

#[derive(Serialize)]
struct Control {
    from: String,
    to: String,
    message: &'static str,
    messages: u64,
    bytes: u64,
    largest: u64,
    hash: String,
}

#[derive(Serialize)]
struct Layer<'a> {
    stage: u32,
    /// Absent where the stage has the layer's W and B.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    split: bool,
    name: &'a str,
    rule: &'a str,
    read: Vec<&'static str>,
    declared: Vec<&'static str>,
}

impl<'a> Link<'a> {
    fn of(record: &'a LinkRecord) -> Self {
        let tensor =
            |(value, &format): (&'a Value, &Kind)| Tensor { name: &value.name, format, shape: &value.shape };
        Self {
            from: words::process(record.from),
            to: words::process(record.to),
            kind: words::kind(record.carried),
            phase: record.phase.to_string(),
            form: record.form,
            tensors: record.tensors.iter().zip(&record.kinds).map(tensor).collect(),
            messages: record.messages,
            bytes: record.bytes,
            payload: record.payload,
            hash: record.chain.to_string(),
        }
    }
}

impl Control {
    fn of(record: &ControlRecord) -> Self {
        Self {
            from: words::process(record.from),
            to: words::process(record.to),
            message: words::control(record.message),
            messages: record.messages,
            bytes: record.bytes,
            largest: record.largest,
            hash: record.chain.to_string(),
        }
    }
}

impl<'a> Layer<'a> {
    fn of(finding: &'a LayerFinding) -> Self {
        let LayerFinding { stage, split, name, rule, read, declared, .. } = finding;
        Self { stage: *stage, split: *split, name, rule, read: read.names(), declared: declared.names() }
    }
}
