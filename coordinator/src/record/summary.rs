//! The summary of a run: `summary.json`, and the table for people.
//!
//! A run that failed knows less, and a run of another release may have other fields: nearly every field may be
//! missing.

use proto::spec::stage::Half;
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
    /// The step after which the network was cut anew; bytes, times and underflow of `nodes` are those since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_after: Option<u64>,
    /// The nodes: those of the stages in order, then the backward nodes in the order of their stages.
    pub nodes: Vec<NodeSummary>,
}

/// One node of the summary: a stage, or the backward half of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// The stage's index, from 0, the nearest to the input.
    pub stage: usize,
    /// The half of the stage; absent in the JSON of a stage itself.
    #[serde(default, skip_serializing_if = "is_forward")]
    pub half: Half,
    /// The node's control address.
    pub address: Option<String>,
    /// The stage's weight layers; those that are split, on a backward node.
    #[serde(default)]
    pub layers: Vec<LayerSummary>,
    /// Payload bytes that the node sent to its neighbours and to its other half.
    pub bytes_sent: Option<u64>,
    /// Payload bytes that the node received from its neighbours and from its other half.
    pub bytes_received: Option<u64>,
    /// Numbers of error signals that the node sent, and of values for its other half, that became 0 in the number format
    /// of the links.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub underflow: u64,
    /// Share of the training time in which the node computed.
    pub compute_share: Option<f64>,
    /// The most memory that the process of a local node had resident in the last start, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
}

impl Summary {
    /// The summary with the peaks of its nodes' processes, in bytes.
    pub fn with_peaks(mut self, peaks: &[Option<u64>]) -> Self {
        for (node, peak) in self.nodes.iter_mut().zip(peaks) {
            node.memory_peak_bytes = *peak;
        }
        self
    }
}

/// A node in a table: the stage's number, with its half if it is the backward one.
pub fn label(stage: usize, half: Half) -> String {
    match half {
        Half::Forward => stage.to_string(),
        Half::Backward => format!("{stage}, backward"),
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn is_forward(half: &Half) -> bool {
    *half == Half::Forward
}

/// One weight layer of the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSummary {
    /// The layer's name in the model.
    pub name: String,
    /// Trained numbers, without B; unknown on a backward node.
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

/// The least width of the first column, in characters.
const LABEL: usize = 5;
/// The least width of the column of addresses, in characters.
const ADDRESS: usize = 22;

/// The result of a run, and the step since which the columns of its nodes count, where that is not the beginning.
fn result(summary: &Summary) -> String {
    let percent = |fraction: Option<f64>| or_dash(fraction, |fraction| format!("{:.2} %", 100.0 * fraction));
    let mut text = format!(
        "\n{}, {} over {} nodes: test accuracy {} (top 5: {}), {} images/s, {:.0} s of training\n\n",
        summary.rule.as_deref().unwrap_or_default(),
        summary.schedule.as_deref().unwrap_or_default(),
        summary.nodes.len(),
        percent(summary.test_top1),
        percent(summary.test_top5),
        or_dash(summary.images_per_s, |speed| format!("{speed:.0}")),
        summary.seconds.unwrap_or(0.0)
    );
    if let Some(step) = summary.nodes_after {
        let _ = writeln!(
            text,
            "sent, received and computing since step {step}, after which the network was cut anew:\n"
        );
    }
    text
}

/// The table at the end of a run, for people.
pub fn table(summary: &Summary) -> String {
    let mut text = result(summary);
    let megabytes = |bytes: Option<u64>| format!("{:.1} MB", bytes.unwrap_or(0) as f64 / 1e6);
    let labels = summary.nodes.iter().map(|node| label(node.stage, node.half).len()).max().unwrap_or(0);
    let width = labels.max(LABEL);
    let addresses = summary.nodes.iter().filter_map(|node| Some(node.address.as_ref()?.len())).max();
    let wide = addresses.unwrap_or(0).max(ADDRESS);
    let mut row = |cells: [&str; 8]| {
        let [node, address, layer, rest @ ..] = cells;
        let [parameters, angle, sent, received, computing] = rest;
        let line = format!(
            "{node:<width$} {address:<wide$} {layer:<24} {parameters:>11} {angle:>8} {sent:>10} {received:>10} {computing:>10}"
        );
        let _ = writeln!(text, "{}", line.trim_end());
    };
    row(["node", "address", "layer", "parameters", "angle", "sent", "received", "computing"]);
    for node in &summary.nodes {
        let computing = or_dash(node.compute_share, |share| format!("{:.0} %", 100.0 * share));
        let traffic = [megabytes(node.bytes_sent), megabytes(node.bytes_received), computing];
        // The node's own numbers stand in its first row only.
        let mut own = ([label(node.stage, node.half), node.address.clone().unwrap_or_default()], traffic);
        for layer in &node.layers {
            let ([stage, address], [sent, received, computing]) = std::mem::take(&mut own);
            let angle = or_dash(layer.angle_deg, |angle| format!("{angle:.1}°"));
            let parameters = layer.parameters.map(|count| count.to_string()).unwrap_or_default();
            row([&stage, &address, &layer.name, &parameters, &angle, &sent, &received, &computing]);
        }
    }
    text
}

/// A number for people, or a dash where there is none.
pub fn or_dash(number: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    number.filter(|number| number.is_finite()).map_or_else(|| "–".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(half: Half, layers: &[(&str, Option<u64>)]) -> NodeSummary {
        let layer = |&(name, parameters): &(&str, Option<u64>)| LayerSummary {
            name: name.into(),
            parameters,
            angle_deg: None,
            angle_step: None,
            no_angle: None,
        };
        NodeSummary {
            stage: 0,
            half,
            address: Some("a:1".into()),
            layers: layers.iter().map(layer).collect(),
            bytes_sent: Some(2_000_000),
            bytes_received: Some(1_000_000),
            underflow: 0,
            compute_share: Some(0.5),
            memory_peak_bytes: None,
        }
    }

    #[test]
    fn a_backward_node_is_a_row_below_those_of_the_stages() {
        let forward = node(Half::Forward, &[("fc1", Some(7)), ("fc2", Some(8))]);
        let nodes = vec![forward, node(Half::Backward, &[("fc1", None)])];
        let text = table(&Summary { nodes, ..Summary::default() });
        let rows: Vec<Vec<&str>> =
            text.lines().skip(3).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["0", "a:1", "fc1", "7", "–", "2.0", "MB", "1.0", "MB", "50", "%"], "{text}");
        assert_eq!(
            rows[3],
            ["0,", "backward", "a:1", "fc1", "–", "2.0", "MB", "1.0", "MB", "50", "%"],
            "{text}"
        );
        let columns = |row: usize| text.lines().nth(3 + row).unwrap().find("fc1");
        assert_eq!(columns(1), columns(3), "{text}");
    }

    #[test]
    fn the_table_says_since_when_its_nodes_count() {
        let text = table(&Summary { nodes_after: Some(40), ..Summary::default() });
        assert!(text.contains("since step 40, after which the network was cut anew"), "{text}");
        assert!(!table(&Summary::default()).contains("cut anew"));
    }

    #[test]
    fn every_field_is_documented() {
        let layer = LayerSummary {
            name: "fc".into(),
            parameters: Some(1),
            angle_deg: Some(45.0),
            angle_step: Some(1),
            no_angle: Some("B is zero".into()),
        };
        let node = NodeSummary {
            stage: 0,
            half: Half::Backward,
            address: Some("a:1".into()),
            layers: vec![layer],
            bytes_sent: Some(1),
            bytes_received: Some(1),
            underflow: 1,
            compute_share: Some(0.5),
            memory_peak_bytes: Some(1),
        };
        let summary = Summary {
            status: Some("failed".into()),
            error: Some("a node is gone".into()),
            rule: Some("backprop".into()),
            seed: Some(0),
            epochs: Some(1),
            stages: Some(1),
            schedule: Some("gpipe".into()),
            test_top1: Some(0.5),
            test_top5: Some(0.5),
            best_step: Some(1),
            images_per_s: Some(1.0),
            seconds: Some(1.0),
            steps: Some(1),
            snapshot_seconds: Some(1.0),
            nodes: vec![node],
            nodes_after: Some(1),
        };
        crate::documented::holds("summary.json", &[serde_json::json!(summary)]);
    }

    #[test]
    fn a_node_of_an_earlier_release_is_a_stage() {
        let read: NodeSummary = serde_json::from_str(r#"{"stage":3}"#).unwrap();
        assert_eq!((read.half, label(read.stage, read.half).as_str()), (Half::Forward, "3"));
        assert!(!serde_json::to_string(&read).unwrap().contains("half"));
        let backward = serde_json::to_value(node(Half::Backward, &[])).unwrap();
        assert_eq!(backward["half"], "backward");
    }
}
