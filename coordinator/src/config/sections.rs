//! The tables of a configuration, resolved: nothing is left to a default.

use std::path::PathBuf;

use proto::spec::graph::LayerSpec;
use proto::tensor::Kind;
use serde::{Deserialize, Serialize};

use crate::data::{Augment, DataKind, Remainder};
use crate::pipeline::Schedule;

/// `[model]`: which network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model's name; `custom` is `layers`.
    pub name: String,
    /// Values of the network's output.
    pub classes: u32,
    /// Width of a model that has one; `None` for its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Side of the images, in pixels; `None` for the data's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<u32>,
    /// Channels of the images; `None` for the data's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// The `[[layer]]`s of a `custom` network, all with the default rule; empty for others.
    #[serde(skip)]
    pub layers: Vec<LayerSpec>,
}

/// `[pipeline]`: how the network is cut, and how microbatches take turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Placement the network is cut.
    pub stages: Stages,
    /// M, how many microbatches a minibatch is cut into.
    pub microbatches: u32,
    /// The order of a stage's actions.
    pub schedule: Schedule,
    /// Stages' worth of forwards beyond the network's own; 1 counts the coordinator.
    pub ahead: u32,
    /// Whether a stage keeps only its inputs of a microbatch, and computes the rest again before E.
    pub recompute: bool,
}

/// `pipeline.stages`: where the network is cut into stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StagesValue", into = "StagesValue")]
pub enum Stages {
    /// So many stages, as even as can be.
    Count(u32),
    /// One per weight layer, with the norm, activation and pooling that follow it.
    PerLayer,
    /// One per block of the model.
    PerBlock,
    /// These layers begin a new stage.
    Cuts(Vec<String>),
}

/// [`Stages`] as TOML has it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StagesValue {
    Count(u32),
    Cuts(Vec<String>),
    Each(Each),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Each {
    PerLayer,
    PerBlock,
}

impl From<StagesValue> for Stages {
    fn from(value: StagesValue) -> Self {
        match value {
            StagesValue::Count(count) => Stages::Count(count),
            StagesValue::Cuts(names) => Stages::Cuts(names),
            StagesValue::Each(Each::PerLayer) => Stages::PerLayer,
            StagesValue::Each(Each::PerBlock) => Stages::PerBlock,
        }
    }
}

impl From<Stages> for StagesValue {
    fn from(stages: Stages) -> Self {
        match stages {
            Stages::Count(count) => StagesValue::Count(count),
            Stages::Cuts(names) => StagesValue::Cuts(names),
            Stages::PerLayer => StagesValue::Each(Each::PerLayer),
            Stages::PerBlock => StagesValue::Each(Each::PerBlock),
        }
    }
}

/// `[train]`: how long, and in what portions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Passes over the training data.
    pub epochs: u64,
    /// Samples in a minibatch, in training and in evaluation.
    pub batch: u32,
    /// Minibatches after which training ends, wherever it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// What becomes of an epoch's last, short minibatch.
    pub remainder: Remainder,
    /// Share of the target that is spread evenly over the classes, from 0 to below 1.
    pub label_smoothing: f64,
}

impl Train {
    /// How many minibatches the run trains on, of which an epoch has `steps_per_epoch`.
    pub fn steps(&self, steps_per_epoch: u64) -> u64 {
        let all = self.epochs.saturating_mul(steps_per_epoch);
        self.max_steps.map_or(all, |most| all.min(most))
    }
}

/// `[data]`: what is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data set's format.
    pub kind: DataKind,
    /// The folder that holds its files.
    pub path: PathBuf,
    /// Training samples used; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Test samples used; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Mean per channel, pixels being 0 to 1; `None` for the kind's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Standard deviation per channel; `None` for the kind's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Whether training images are shifted and flipped: see [`Data::augmentation`].
    pub augment: bool,
}

impl Data {
    /// How training images are varied: as suits the kind where `augment` is set, and not at all otherwise.
    pub fn augmentation(&self) -> Augment {
        if self.augment { self.kind.variation() } else { Augment::NONE }
    }
}

/// `[snapshot]`: how often the nodes write their state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Minibatches between snapshots; 0 for one at the end only.
    pub every_steps: u64,
    /// Snapshots that a node keeps, at least 2.
    pub keep_last: u32,
    /// Whether the one with the best test accuracy is kept as well.
    pub best: bool,
}

/// `[metrics]`: what is measured on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Minibatches between measurements of the layers' B against W.
    pub layers_every: u64,
}

/// `[alarm]`: what ends a run that has gone wrong without failing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// Whether ‖W − B‖ of every layer under Kolen-Pollack must follow its law.
    pub kolen_pollack: bool,
}

/// `[node]`: how local nodes are started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Threads of each.
    pub threads: u32,
}

/// `[network]`: how processes talk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Seconds within which a node must be reached; fit for [`std::time::Duration::from_secs_f64`].
    pub connect_deadline: f64,
    /// Seconds that a connected node may be silent when it should speak; as above.
    pub message_deadline: f64,
    /// The number format between neighbours.
    pub wire: Kind,
}
