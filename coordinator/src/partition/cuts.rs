//! Where a network is cut, as a config spells it.

use serde::{Deserialize, Serialize};

/// Where a network is cut. In a config: a number, `per_layer`, `per_block`, or a list of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelled", into = "Spelled")]
pub enum Cuts {
    /// Into so many stages, balanced.
    Count(u32),
    /// Every weight layer begins a stage, with all that follows it until the next; what comes before
    /// the first goes with the first.
    PerLayer,
    /// Every block of the network is a stage.
    PerBlock,
    /// Each of these layers begins a stage; the network's first layer does so anyway.
    At(Vec<String>),
}

/// How a config spells [`Cuts`].
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
