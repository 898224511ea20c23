//! The partition: the network is cut into contiguous slices of its graph, one per node.
//!
//! ```text
//! layers   conv1 bn1 relu │ conv2 bn2 add relu │ flatten fc
//!             stage 0             stage 1         stage 2
//!                         ↑ relu               ↑ relu         the values that cross a cut, as named tensors
//! ```
//!
//! Every cut is legal, because a skip travels beside the branch that it jumps over. Cuts are named in the
//! configuration, follow from the network's layers or blocks, or are balanced: the exact optimum by the estimated
//! costs of the stages. The module has no async, no clocks, no files and no tensors.

mod balance;
mod compute_speed;
mod cuts;
mod error;
mod estimate;
mod figures;
mod halves;
mod link_rate;
mod link_speed;
mod memory;
mod search;
mod slice;
#[cfg(test)]
mod tests;
mod workload;

use std::ops::Range;

use crate::model::Network;
use crate::nearest;
pub use balance::{SLACK, balanced, leanest, optimum};
pub use compute_speed::{ComputeSpeed, ComputeSpeedError};
pub use cuts::Cuts;
pub use error::PartitionError;
pub use estimate::{Estimator, LayerTime, StageEstimate};
pub use figures::{Figures, FiguresError, LinkFigures, NodeFigures, kind};
pub use link_rate::{LinkRate, LinkRateError};
pub use link_speed::{LinkSpeed, LinkSpeedError};
pub use memory::{Memory, PROCESS_BYTES};
pub use slice::{Slice, slices};
pub use workload::{Rates, Workload};

/// The stages of a network: ranges over its layers, in order and without gaps.
pub type Stages = Vec<Range<usize>>;

/// Cuts `network` into stages, each a range over its layers, in order and without gaps. `memory` limits the
/// predicted bytes of a node; only the balance of [`Cuts::Count`] can keep it.
///
/// # Errors
/// A number of stages, a name or a limit that no cut can satisfy.
pub fn cut(
    network: &Network,
    cuts: &Cuts,
    estimator: &Estimator,
    memory: Option<u64>,
) -> Result<Stages, PartitionError> {
    let layers = network.layers.len();
    let weights = network.layers.iter().enumerate().filter(|(_, layer)| layer.op.is_weight()).map(|(i, _)| i);
    if layers == 0 {
        return Err(PartitionError::TooMany { stages: 1, layers });
    }
    match cuts {
        Cuts::Count(stages) => balanced(network, estimator, *stages, memory),
        Cuts::PerLayer => Ok(between(weights.skip(1), layers)),
        Cuts::PerBlock => Ok(between(network.blocks.iter().copied(), layers)),
        Cuts::At(names) => Ok(between(named(network, names)?.into_iter(), layers)),
    }
}

/// The indices of the layers called `names`, ascending.
fn named(network: &Network, names: &[String]) -> Result<Vec<usize>, PartitionError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let index = network.layers.iter().position(|layer| layer.name == *name);
        let index =
            index.ok_or_else(|| PartitionError::Unknown { name: name.clone(), hint: hint(network, name) })?;
        if found.contains(&index) {
            return Err(PartitionError::Doubled(name.clone()));
        }
        found.push(index);
    }
    found.sort_unstable();
    Ok(found)
}

fn hint(network: &Network, name: &str) -> String {
    nearest::hint(name, network.layers.iter().map(|layer| layer.name.as_str()))
}

/// The ranges from cut to cut; a cut before layer 0 has no effect.
fn between(cuts: impl Iterator<Item = usize>, layers: usize) -> Stages {
    let starts: Vec<usize> = std::iter::once(0).chain(cuts.filter(|&at| at > 0)).collect();
    let ends = starts.iter().skip(1).copied().chain([layers]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}
