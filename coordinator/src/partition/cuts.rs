//! The cuts of a network, as a configuration spells them.

use serde::{Deserialize, Serialize};

/// The cuts of a network. In a configuration: a number, `per_layer`, `per_block`, or a list of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelled", into = "Spelled")]
pub enum Cuts {
    /// This many stages, balanced.
    Count(u32),
    /// Every weight layer begins a stage, together with the layers that follow it until the next. The layers before
    /// the first weight layer belong to its stage.
    PerLayer,
    /// Every block of the network is a stage.
    PerBlock,
    /// A stage begins at each of these layers, and at the network's first layer.
    At(Vec<String>),
}

/// The spelling of [`Cuts`] in a configuration.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number of stages, \"per_layer\", \"per_block\", or a list of layers that begin stages"
)]
enum Spelled {
    Count(u32),
    Every(Every),
    At(Vec<String>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Every {
    PerLayer,
    PerBlock,
}

impl From<Spelled> for Cuts {
    fn from(spelled: Spelled) -> Self {
        match spelled {
            Spelled::Count(stages) => Cuts::Count(stages),
            Spelled::Every(Every::PerLayer) => Cuts::PerLayer,
            Spelled::Every(Every::PerBlock) => Cuts::PerBlock,
            Spelled::At(names) => Cuts::At(names),
        }
    }
}

impl From<Cuts> for Spelled {
    fn from(cuts: Cuts) -> Self {
        match cuts {
            Cuts::Count(stages) => Spelled::Count(stages),
            Cuts::PerLayer => Spelled::Every(Every::PerLayer),
            Cuts::PerBlock => Spelled::Every(Every::PerBlock),
            Cuts::At(names) => Spelled::At(names),
        }
    }
}
