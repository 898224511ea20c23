//! A cut of a run's network, as `run.json` remembers it: numbers of a stage say nothing of a stage of another cut.

use crate::model::Network;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A cut of a network into stages, and of its weight layers into halves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The first layer of each stage.
    pub stages: Vec<String>,
    /// The layers whose W and B are on two hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<String>,
}

impl Cut {
    /// The cut of `network` at `ranges`.
    pub fn of(network: &Network, ranges: &[Range<usize>]) -> Self {
        let name = |at: usize| network.layers[at].name.clone();
        let split = network.layers.iter().filter(|layer| layer.split);
        Self {
            stages: ranges.iter().map(|range| name(range.start)).collect(),
            split: split.map(|layer| layer.name.clone()).collect(),
        }
    }
}
