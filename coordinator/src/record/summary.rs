//! The summary of a run: `summary.json`, and the table for people.
//!
//! A run that failed knows less, and a run of another release may have other fields: nearly every field may be
//! missing.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The summary of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// `done`, `interrupted`, `diverged` or `failed`.
    pub status: Option<String>,
    /// The reason in one sentence, unless the status is `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The rule's name.
    pub rule: Option<String>,
    /// The run's seed.
    pub seed: Option<u64>,
    /// The configured number of epochs.
    pub epochs: Option<u64>,
    /// The number of stages.
    pub stages: Option<u64>,
    /// The schedule's name.
    pub schedule: Option<String>,
    /// Fraction of the test set whose label ranks first.
    pub test_top1: Option<f64>,
    /// Fraction of the test set whose label ranks among the first five.
    pub test_top5: Option<f64>,
    /// Updates of the snapshot with the best test accuracy, if `snapshot.best` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_step: Option<u64>,
    /// Training speed, without evaluations.
    pub images_per_s: Option<f64>,
    /// Training time, without evaluations.
    pub seconds: Option<f64>,
    /// Updates of the final state.
    pub steps: Option<u64>,
    /// Seconds that snapshots took.
    pub snapshot_seconds: Option<f64>,
    /// The stages and their nodes.
    pub nodes: Vec<NodeSummary>,
}

/// One stage of the summary, with its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// The stage's index, from 0, the nearest to the input.
    pub stage: usize,
    /// The node's control address.
    pub address: Option<String>,
    /// The stage's weight layers.
    #[serde(default)]
    pub layers: Vec<LayerSummary>,
    /// Payload bytes that the node sent to its two neighbours.
    pub bytes_sent: Option<u64>,
    /// Payload bytes that the node received from its two neighbours.
    pub bytes_received: Option<u64>,
    /// Share of the training time in which the node computed.
    pub compute_share: Option<f64>,
}

/// One weight layer of the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSummary {
    /// The layer's name in the model.
    pub name: String,
    /// Trained numbers, without B.
    pub parameters: Option<u64>,
    /// The angle between W and B at the last measurement.
    pub angle_deg: Option<f64>,
    /// The step of that measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub angle_step: Option<u64>,
    /// The reason why there is no angle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_angle: Option<String>,
}

/// The table at the end of a run, for people.
pub fn table(summary: &Summary) -> String {
    let mut text = String::new();
    let percent = |fraction: Option<f64>| or_dash(fraction, |fraction| format!("{:.2} %", 100.0 * fraction));
    let megabytes = |bytes: Option<u64>| format!("{:.1} MB", bytes.unwrap_or(0) as f64 / 1e6);
    let _ = writeln!(
        text,
        "\n{}, {} over {} nodes: test accuracy {} (top 5: {}), {} images/s, {:.0} s of training\n",
        summary.rule.as_deref().unwrap_or_default(),
        summary.schedule.as_deref().unwrap_or_default(),
        summary.nodes.len(),
        percent(summary.test_top1),
        percent(summary.test_top5),
        or_dash(summary.images_per_s, |speed| format!("{speed:.0}")),
        summary.seconds.unwrap_or(0.0)
    );
    let mut row = |cells: [&str; 8]| {
        let [node, address, layer, rest @ ..] = cells;
        let [parameters, angle, sent, received, computing] = rest;
        let line = format!(
            "{node:<5} {address:<22} {layer:<24} {parameters:>11} {angle:>8} {sent:>10} {received:>10} {computing:>10}"
        );
        let _ = writeln!(text, "{}", line.trim_end());
    };
    row(["node", "address", "layer", "parameters", "angle", "sent", "received", "computing"]);
    for node in &summary.nodes {
        let computing = or_dash(node.compute_share, |share| format!("{:.0} %", 100.0 * share));
        let traffic = [megabytes(node.bytes_sent), megabytes(node.bytes_received), computing];
        // The node's own numbers stand in its first row only.
        let mut own = ([node.stage.to_string(), node.address.clone().unwrap_or_default()], traffic);
        for layer in &node.layers {
            let ([stage, address], [sent, received, computing]) = std::mem::take(&mut own);
            let angle = or_dash(layer.angle_deg, |angle| format!("{angle:.1}°"));
            let parameters = layer.parameters.unwrap_or(0).to_string();
            row([&stage, &address, &layer.name, &parameters, &angle, &sent, &received, &computing]);
        }
    }
    text
}

/// A number for people, or a dash where there is none.
pub fn or_dash(number: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    number.filter(|number| number.is_finite()).map_or_else(|| "–".to_owned(), show)
}
