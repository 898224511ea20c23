//! A run as its folder tells it.
//!
//! Fields that this page doesn't know are ignored, and nearly all that it knows may be missing: a run
//! that failed has said less. A number that was not finite stands as `null` in JSON and is a `None` here.

use serde::Deserialize;

/// Everything the page says about one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What the page calls it: the name of its folder.
    pub name: String,
    /// The resolved configuration, as it stands in `config.toml`.
    pub config_toml: String,
    /// The training steps in order, each once.
    pub metrics: Vec<Step>,
    /// The evaluations in order; none if there was none.
    pub evaluations: Vec<Evaluation>,
    /// How it ended.
    pub summary: Summary,
}

/// One training step: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Step {
    /// Counts from 1.
    pub step: u64,
    /// Counts from 0.
    #[serde(default)]
    pub epoch: u64,
    /// Mean over the minibatch.
    pub loss: Option<f64>,
    /// A fraction of the minibatch.
    pub accuracy: Option<f64>,
    /// The minibatch over the step's duration.
    pub images_per_s: Option<f64>,
    /// What every stage did.
    #[serde(default)]
    pub stages: Vec<StageTrace>,
    /// How B stands to W in every layer; empty on steps that didn't measure it.
    #[serde(default)]
    pub layers: Vec<LayerTrace>,
}

/// One stage in one step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StageTrace {
    /// Counts from 0, the input's end.
    pub stage: usize,
    /// Seconds in which it computed.
    pub compute_s: Option<f64>,
    /// Seconds in which it waited for a neighbour.
    pub wait_s: Option<f64>,
    /// Seconds in which it made messages and handed them over.
    pub send_s: Option<f64>,
    /// Bytes of activations that it sent.
    #[serde(default)]
    pub bytes_forward: u64,
    /// Bytes of error signals that it sent.
    #[serde(default)]
    pub bytes_backward: u64,
}

/// How B stands to W in one layer at one step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LayerTrace {
    /// The layer's name in the model.
    pub name: String,
    /// The angle between W and B, in degrees.
    pub angle_deg: Option<f64>,
    /// ‖B‖/‖W‖.
    pub norm_ratio: Option<f64>,
}

/// One pass over the test set: a line of `evaluations.jsonl`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Evaluation {
    /// The training step after which it was made.
    pub step: u64,
    /// Counts from 0.
    #[serde(default)]
    pub epoch: u64,
    /// Mean over the test set.
    pub loss: Option<f64>,
    /// A fraction.
    pub top1: Option<f64>,
    /// A fraction.
    pub top5: Option<f64>,
}

/// How a run ended: `summary.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// `done`, `failed` or how else it ended.
    pub status: Option<String>,
    /// Why it failed, in one sentence.
    pub error: Option<String>,
    /// The rule's name.
    pub rule: Option<String>,
    /// What every random number of it comes from.
    pub seed: Option<u64>,
    /// As configured.
    pub epochs: Option<u64>,
    /// Into how many the network was cut.
    pub stages: Option<u64>,
    /// The schedule's name.
    pub schedule: Option<String>,
    /// A fraction.
    pub test_top1: Option<f64>,
    /// A fraction.
    pub test_top5: Option<f64>,
    /// Over the whole training.
    pub images_per_s: Option<f64>,
    /// Of the whole training.
    pub seconds: Option<f64>,
    /// Training steps done.
    pub steps: Option<u64>,
    /// One per stage.
    pub nodes: Vec<NodeSummary>,
}

/// What one layer node did in the whole run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NodeSummary {
    /// Counts from 0, the input's end.
    pub stage: usize,
    /// Placement its data plane listened.
    pub address: Option<String>,
    /// The layers of its stage.
    #[serde(default)]
    pub layers: Vec<LayerSummary>,
    /// In the whole run.
    pub bytes_sent: Option<u64>,
    /// In the whole run.
    pub bytes_received: Option<u64>,
}

/// What a run's summary says about a layer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LayerSummary {
    /// The layer's name in the model.
    pub name: String,
    /// How many numbers W and the biases have.
    pub parameters: Option<u64>,
}
