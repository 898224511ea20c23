//! The slice of a stage: its layers, and the named values that arrive and leave.

use std::ops::Range;

use proto::error::ProtocolError;
use proto::spec::graph::Value;
use proto::spec::graph::{LayerSpec, crossing};

use crate::model::Network;

/// The part of the network that a node knows; a node knows nothing beyond its own slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The slice of the graph, in order.
    pub layers: Vec<LayerSpec>,
    /// The values that cross the cut below, with the shape of one sample.
    pub inputs: Vec<Value>,
    /// The names of the values that cross the cut above: those that the slice above takes.
    pub outputs: Vec<String>,
}

/// The slices of `network` at `ranges`, which follow one another without gaps, as [`super::cut`] gives them.
///
/// # Errors
/// The error of [`Network::values`].
pub fn slices(network: &Network, ranges: &[Range<usize>]) -> Result<Vec<Slice>, ProtocolError> {
    let computed = network.values()?;
    let shaped = |name: &str| {
        let value = std::iter::once(&network.input).chain(&computed).find(|value| value.name == name);
        value.cloned().expect("what crosses a cut is computed below it")
    };
    let below = |at: usize| crossing(&network.layers, at);
    let slice = |range: &Range<usize>| Slice {
        layers: network.layers[range.clone()].to_vec(),
        inputs: below(range.start).into_iter().map(shaped).collect(),
        outputs: below(range.end).into_iter().map(str::to_owned).collect(),
    };
    Ok(ranges.iter().map(slice).collect())
}
