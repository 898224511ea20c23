//! What layers keep of a microbatch, as layer-node's layers do, and who shares it.

use std::collections::HashMap;

use proto::spec::graph::Op;
use proto::spec::rule::RuleSpec;

use super::{FLOAT, LayerProfile};
use crate::model::Network;

/// Bytes of one index that a max pooling keeps.
const INDEX: u64 = 8;

/// A tensor that a layer keeps. Layers that keep one tensor hold it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Bytes for one sample.
    pub bytes: u64,
    /// The next layer that keeps the same tensor.
    pub again: Option<usize>,
}

/// What a kept tensor is: a layer's value (the layer's index + 1; 0 is the network's input), or
/// something that the layer of this index made for itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Tensor {
    Value(usize),
    Own(usize),
}

/// Says of every layer what it keeps. A flattened value is the value that it was made from.
pub(super) fn keep(layers: &mut [LayerProfile], network: &Network, inputs: &[Vec<usize>], elements: &[u64]) {
    let mut same: Vec<usize> = (0..elements.len()).collect();
    let mut keeper_above: HashMap<Tensor, usize> = HashMap::new();
    for (i, layer) in network.layers.iter().enumerate() {
        if layer.op == Op::Flatten {
            same[i + 1] = same[inputs[i][0]];
        }
    }
    for (i, layer) in network.layers.iter().enumerate().rev() {
        let x = (Tensor::Value(same[inputs[i][0]]), elements[inputs[i][0]] * FLOAT);
        let y = elements[i + 1];
        let kept = match layer.op {
            Op::Conv2d { bias, .. } | Op::Linear { bias, .. } => match (reads_output(&layer.rule), bias) {
                (false, _) => vec![x],
                (true, false) => vec![x, (Tensor::Value(i + 1), y * FLOAT)],
                (true, true) => vec![x, (Tensor::Own(i), y * FLOAT)],
            },
            Op::BatchNorm { .. } | Op::AvgPool(_) => vec![x],
            Op::MaxPool(_) => vec![x, (Tensor::Own(i), y * INDEX)],
            Op::Relu => vec![(Tensor::Value(i + 1), y * FLOAT)],
            Op::Bias | Op::Flatten | Op::Add => vec![],
        };
        let note = |(tensor, bytes)| Kept { bytes, again: keeper_above.insert(tensor, i) };
        layers[i].kept = kept.into_iter().map(note).collect();
        let flattened = layer.op == Op::Flatten;
        let free = !flattened && !keeper_above.contains_key(&Tensor::Value(i + 1));
        layers[i].passing = if free { y * FLOAT } else { 0 };
    }
}

/// Whether the rule's primitives need y in G: those that are fed something else than x make their own.
fn reads_output(rule: &RuleSpec) -> bool {
    matches!(rule, RuleSpec::Learned { coefficients, alignment, .. }
        if alignment.is_fed_input() && coefficients.use_output())
}
