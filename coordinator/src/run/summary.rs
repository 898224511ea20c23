//! What a run comes to: `summary.json`, and the table at its end.

use super::prepare::Prepared;
use super::recorder::Recorder;
use crate::driver::NodeAddress;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// `done`, `interrupted`, `diverged` or `failed`.
    pub status: String,
    /// Why, where it is not `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rule's name.
    pub rule: String,
    /// The run's seed.
    pub seed: u64,
    /// As configured.
    pub epochs: u64,
    /// How many stages there were.
    pub stages: usize,
    /// The schedule's name.
    pub schedule: String,
    /// Fraction of the test set whose class came first.
    pub test_top1: Option<f64>,
    /// Fraction of the test set whose class was among the first five.
    pub test_top5: Option<f64>,
    /// Updates that the kept state with the best test accuracy has seen, where `snapshot.best` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_step: Option<u64>,
    /// Training speed, evaluations not counted.
    pub images_per_s: f64,
    /// Training time, evaluations not counted.
    pub seconds: f64,
    /// Updates that the final state has seen.
    pub steps: u64,
    /// Seconds that writing snapshots took.
    pub snapshot_seconds: f64,
    /// Who did what.
    pub nodes: Vec<NodeSummary>,
}

/// One stage of the summary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSummary {
    /// Its place.
    pub stage: usize,
    /// Its node's control address.
    pub address: String,
    /// Its weight layers.
    pub layers: Vec<LayerSummary>,
    /// Payload bytes to its two neighbours.
    pub bytes_sent: u64,
    /// Payload bytes from its two neighbours.
    pub bytes_received: u64,
    /// Share of the training time in which it computed.
    pub compute_share: f64,
}

/// One weight layer of the summary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerSummary {
    /// Its name.
    pub name: String,
    /// Trained numbers, B not counted.
    pub parameters: u64,
    /// The angle between W and B at the last measurement.
    pub angle_deg: Option<f64>,
}

impl Summary {
    /// What `recorder` saw of the run.
    pub fn new(
        status: &str,
        error: Option<String>,
        prepared: &Prepared,
        nodes: &[NodeAddress],
        recorder: &Recorder,
    ) -> Self {
        let seconds = recorder.training.as_secs_f64();
        let config = &prepared.config;
        Self {
            status: status.into(),
            error,
            rule: config.rule.all.name().into(),
            seed: config.seed,
            epochs: config.train.epochs,
            stages: nodes.len(),
            schedule: config.pipeline.schedule.to_string(),
            test_top1: recorder.evaluation.map(|evaluation| evaluation.top1),
            test_top5: recorder.evaluation.map(|evaluation| evaluation.top5),
            best_step: recorder.best().map(|best| best.step),
            images_per_s: if seconds > 0.0 { recorder.samples as f64 / seconds } else { 0.0 },
            seconds,
            steps: recorder.steps,
            snapshot_seconds: recorder.saving,
            nodes: (0..nodes.len()).map(|stage| node(stage, prepared, nodes, recorder)).collect(),
        }
    }
}

fn node(stage: usize, prepared: &Prepared, nodes: &[NodeAddress], recorder: &Recorder) -> NodeSummary {
    let totals = &recorder.stages;
    let input: u64 =
        prepared.network.input.shape.iter().product::<u64>() * prepared.config.network.wire.size() as u64;
    // What arrives is what the neighbours sent; the coordinator sends inputs, and errors of the outputs' size.
    let from_below = if stage == 0 { input * recorder.samples } else { totals[stage - 1].bytes_forward };
    let from_above = totals.get(stage + 1).map_or(totals[stage].bytes_forward, |above| above.bytes_backward);
    let seconds = recorder.training.as_secs_f64().max(1e-9);
    NodeSummary {
        stage,
        address: nodes[stage].control.clone(),
        layers: layers(stage, prepared, recorder),
        bytes_sent: totals[stage].bytes_forward + totals[stage].bytes_backward,
        bytes_received: from_below + from_above,
        compute_share: totals[stage].compute.as_secs_f64() / seconds,
    }
}

/// The weight layers of a stage, each with the parameters of the layers up to the next one.
fn layers(stage: usize, prepared: &Prepared, recorder: &Recorder) -> Vec<LayerSummary> {
    let values = prepared.network.values().unwrap_or_default();
    let shape = |name: &str| {
        let value = values.iter().chain([&prepared.network.input]).find(|value| value.name == name);
        value.map_or(&[] as &[u64], |value| value.shape.as_slice())
    };
    let mut layers: Vec<LayerSummary> = Vec::new();
    for layer in &prepared.network.layers[prepared.ranges[stage].clone()] {
        let parameters = layer.op.parameters(shape(&layer.inputs[0]));
        match layers.last_mut() {
            Some(last) if !layer.op.is_weight() => last.parameters += parameters,
            _ if layer.op.is_weight() => {
                let angle_deg = recorder.layers.get(&layer.name).map(|measure| measure.angle_deg);
                layers.push(LayerSummary { name: layer.name.clone(), parameters, angle_deg });
            }
            _ => {}
        }
    }
    layers
}

/// The table at the end of a run, for people.
pub fn table(summary: &Summary) -> String {
    let mut text = String::new();
    let percent =
        |fraction: Option<f64>| fraction.map_or_else(|| "–".to_owned(), |f| format!("{:.2} %", 100.0 * f));
    let _ = writeln!(
        text,
        "\n{}, {} over {} nodes: test accuracy {} (top 5: {}), {:.0} images/s, {:.0} s of training\n",
        summary.rule,
        summary.schedule,
        summary.stages,
        percent(summary.test_top1),
        percent(summary.test_top5),
        summary.images_per_s,
        summary.seconds
    );
    let _ = writeln!(
        text,
        "{:<5} {:<22} {:<24} {:>11} {:>8} {:>10} {:>10} {:>10}",
        "node", "address", "layer", "parameters", "angle", "sent", "received", "computing"
    );
    for node in &summary.nodes {
        let (mut place, mut traffic) = (
            (node.stage.to_string(), node.address.clone()),
            (
                megabytes(node.bytes_sent),
                megabytes(node.bytes_received),
                format!("{:.0} %", 100.0 * node.compute_share),
            ),
        );
        for layer in &node.layers {
            let angle = layer.angle_deg.map_or_else(|| "–".to_owned(), |angle| format!("{angle:.1}°"));
            let row = format!(
                "{:<5} {:<22} {:<24} {:>11} {:>8} {:>10} {:>10} {:>10}",
                place.0, place.1, layer.name, layer.parameters, angle, traffic.0, traffic.1, traffic.2
            );
            let _ = writeln!(text, "{}", row.trim_end());
            place = Default::default();
            traffic = Default::default();
        }
    }
    text
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
