//! The tensors that layers keep of a microbatch; several layers may keep the same tensor.

use std::collections::HashMap;

use proto::spec::op::{KeptTensor, Op};

use super::LayerProfile;
use crate::model::Network;

/// Bytes of one index that a max pooling keeps.
const INDEX: u64 = 8;

/// A tensor that a layer keeps. A tensor that several layers keep is held once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Bytes for one sample.
    pub bytes: u64,
    /// The next layer that keeps the same tensor.
    pub again: Option<usize>,
}

/// The identity of a kept tensor: a layer's value (the layer's index + 1; 0 is the network's input), or a tensor
/// that the layer of this index made for itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Tensor {
    Value(usize),
    Own(usize),
}

/// Sets the kept tensors of every layer, whose numbers take `number` bytes each.
pub(super) fn keep(
    layers: &mut [LayerProfile],
    network: &Network,
    inputs: &[Vec<usize>],
    shapes: &[&[u64]],
    number: u64,
) {
    let elements: Vec<u64> = shapes.iter().map(|shape| shape.iter().product()).collect();
    let mut same: Vec<usize> = (0..elements.len()).collect();
    let mut keeper_above: HashMap<Tensor, usize> = HashMap::new();
    for (i, layer) in network.layers.iter().enumerate() {
        if layer.op == Op::Flatten && is_view(shapes[inputs[i][0]]) {
            same[i + 1] = same[inputs[i][0]];
        }
    }
    for (i, layer) in network.layers.iter().enumerate().rev() {
        let (x, y) = (inputs[i][0], elements[i + 1]);
        // Where B is on another host, y has gone there by the end of F.
        let keeps_output = layer.rule.keeps_output() && !layer.split;
        let kept = layer.op.kept(keeps_output).iter().map(|kept| match kept {
            KeptTensor::Input => (Tensor::Value(same[x]), elements[x] * number),
            KeptTensor::Output => (Tensor::Value(i + 1), y * number),
            KeptTensor::BeforeBias => (Tensor::Own(i), y * number),
            KeptTensor::Indices => (Tensor::Own(i), y * INDEX),
        });
        let note = |(tensor, bytes)| Kept { bytes, again: keeper_above.insert(tensor, i) };
        layers[i].kept = kept.map(note).collect();
        let flattened = layer.op == Op::Flatten && is_view(shapes[x]);
        let free = !flattened && !keeper_above.contains_key(&Tensor::Value(i + 1));
        layers[i].passing = if free { y * number } else { 0 };
    }
}

/// Whether a flattened value of this shape is the same tensor as its source. Several channels of several positions are
/// copied where the source is in the order N, H, W, C; the row-major order would not ask for it.
fn is_view(shape: &[u64]) -> bool {
    let [channels, places @ ..] = shape else { return true };
    *channels == 1 || places.iter().all(|&places| places == 1)
}
