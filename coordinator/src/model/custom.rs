//! A `custom` network: built from the user's list of `[[layer]]`s.

use proto::error::ProtocolError;
use proto::spec::graph::Value;
use proto::spec::graph::{self, INPUT, LayerSpec};

use super::Network;

/// The network of `layers` for samples of the shape `input` (channels, height, width).
///
/// A block begins at every weight layer except the first, if a single value crosses the cut before that layer. So
/// no block boundary cuts a residual connection.
///
/// # Errors
/// The error of [`graph::infer_shapes`], with the layer's name.
pub fn network(layers: &[LayerSpec], input: [u64; 3]) -> Result<Network, ProtocolError> {
    let input = Value { name: INPUT.into(), shape: input.to_vec() };
    let network = Network { input, layers: layers.to_vec(), blocks: blocks(layers) };
    network.values()?;
    Ok(network)
}

fn blocks(layers: &[LayerSpec]) -> Vec<usize> {
    let weights = layers.iter().enumerate().filter(|(_, layer)| layer.op.is_weight()).map(|(at, _)| at);
    let alone = weights.skip(1).filter(|&at| graph::crossing(layers, at).len() == 1);
    std::iter::once(0).chain(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::graph::{Init, Op};

    #[test]
    fn blocks_keep_residual_connections_whole() {
        let conv = Op::Conv2d { out: 4, kernel: 3, stride: 1, padding: 1, bias: false, init: Init::FanIn };
        let layer = LayerSpec::new;
        let layers = [
            layer("stem", &["input"], conv),
            layer("a", &["stem"], conv),
            layer("b", &["a"], conv),
            layer("sum", &["b", "stem"], Op::Add),
            layer("c", &["sum"], conv),
        ];
        let network = network(&layers, [1, 8, 8]).unwrap();
        assert_eq!(network.blocks, [0, 1, 4]);
    }
}
