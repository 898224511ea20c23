//! The profile of a network: what each layer needs, counted from shapes alone.

mod kept;
mod split;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use proto::error::ProtocolError;
use proto::spec::graph::{self, INPUT, LayerSpec, Op};
use proto::spec::precision::Precision;
use proto::spec::rule::{Alignment, Coefficients, Mirror, Primitive, Product, RuleSpec, Transfer};
use proto::tensor::Kind;

use super::Network;
pub use kept::Kept;
pub use split::Split;

/// Bytes of an f32: of a weight, and of a number in the sum of a gradient. A number of an activation or an error takes
/// those of the [`Precision`], whatever format the links use.
pub const FLOAT: u64 = 4;

/// The needs of a network's layers, and the traffic over every cut between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    layers: Vec<LayerProfile>,
    activations: Vec<u64>,
    errors: Vec<u64>,
    /// Numbers of each value over each cut, without the network's input.
    values: Vec<Vec<u64>>,
}

/// The needs of one layer. Numbers that depend on the batch are counted for one sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerProfile {
    /// Trained numbers, without B.
    pub parameters: u64,
    /// Numbers of B if B is a tensor of its own, or of R under product feedback alignment; 0 under backprop and for layers
    /// without weights.
    pub backward: u64,
    /// Numbers of the fixed B of product feedback alignment; 0 under all other rules.
    pub fixed: u64,
    /// Whether B follows a gradient: under all rules but backprop and feedback alignment.
    pub backward_learns: bool,
    /// Numbers of W.
    pub weights: u64,
    /// Multiply-adds of F through W.
    pub macs: u64,
    /// Passes of `macs` in E: 1, or 0 if only the network's input lies below or if the error goes through a product.
    pub error_passes: u64,
    /// Multiply-adds of E through the product of a fixed B and R.
    pub error_macs: u64,
    /// Passes of `macs` in G: 1 for W, and the passes that the rule's primitives need for B.
    pub gradient_passes: u64,
    /// Multiply-adds of G for R, under product feedback alignment.
    pub gradient_macs: u64,
    /// Numbers of the error behind the fixed B, which the host of R keeps from E to G.
    pub middle: u64,
    /// Numbers that F reads and writes, for layers whose time is bound by memory; 0 for weight layers.
    pub touched: u64,
    /// Numbers of the inputs and of the output.
    pub inputs: u64,
    /// Numbers of the output.
    pub output: u64,
    /// Bytes of the output if no layer keeps it; they are free again when F ends.
    pub passing: u64,
    /// The tensors that F keeps for E or G.
    pub kept: Vec<Kept>,
    /// Bytes that wait between E and G: x, the error at y, and y if the rule needs it.
    pub waiting: u64,
    /// Bytes of a mirror step, which do not depend on the batch: noise, y, and as much again for intermediate
    /// values.
    pub mirror: u64,
    /// Multiply-adds of mirror steps, per update.
    pub mirror_macs: u64,
    /// What crosses between the hosts of W and B, and which computes what; `None` where one host has both.
    pub split: Option<Split>,
}

impl Profile {
    /// Counts the needs of `network`'s layers, which compute in `precision`.
    ///
    /// # Errors
    /// The error of [`Network::values`].
    pub fn new(network: &Network, precision: Precision) -> Result<Self, ProtocolError> {
        let computed = network.values()?;
        let shapes: Vec<&[u64]> =
            std::iter::once(&network.input).chain(&computed).map(|v| v.shape.as_slice()).collect();
        let index: HashMap<&str, usize> = (1..)
            .zip(&network.layers)
            .map(|(i, layer)| (layer.name.as_str(), i))
            .chain([(INPUT, 0)])
            .collect();
        let inputs_of =
            |layer: &LayerSpec| layer.inputs.iter().map(|name| index[name.as_str()]).collect::<Vec<_>>();
        let inputs: Vec<Vec<usize>> = network.layers.iter().map(inputs_of).collect();

        let wanted = graph::wanted_errors(std::slice::from_ref(&network.input), &network.layers);
        let elements: Vec<u64> = shapes.iter().map(|shape| shape.iter().product()).collect();
        let number = precision.size() as u64;
        let mut layers: Vec<LayerProfile> = Vec::with_capacity(network.layers.len());
        for (layer, inputs) in network.layers.iter().zip(&inputs) {
            let output = elements[layers.len() + 1];
            let taken = inputs.iter().map(|&input| elements[input]).sum();
            layers.push(count(layer, shapes[inputs[0]], [taken, output], number, &wanted));
        }
        kept::keep(&mut layers, network, &inputs, &shapes, number);
        split::split(&mut layers, network)?;
        let (activations, values) = crossings(&inputs, &elements);
        let errors = values.iter().map(|values| values.iter().sum()).collect();
        Ok(Self { layers, activations, errors, values })
    }

    /// The profile of each layer of the network.
    pub fn layers(&self) -> &[LayerProfile] {
        &self.layers
    }

    /// Numbers that F sends over the cut before layer `at`, for one sample; the network's output if `at` is the
    /// number of layers.
    pub fn activations(&self, at: usize) -> u64 {
        self.activations[at]
    }

    /// Numbers that E sends back over the cut before layer `at`, for one sample: those of [`Profile::activations`],
    /// without the network's input, which has no error.
    pub fn errors(&self, at: usize) -> u64 {
        self.errors[at]
    }

    /// Bytes over the cut before layer `at`, upwards and downwards, where so many numbers of a value take `size` bytes: for
    /// one sample, and with the network's input in bytes.
    pub fn bytes(&self, at: usize, size: impl Fn(u64) -> u64) -> [u64; 2] {
        let errors = self.values[at].iter().map(|&numbers| size(numbers)).sum();
        [Kind::U8.bytes(self.activations[at] - self.errors[at]) + errors, errors]
    }

    /// Bytes over the cut before layer `at`, upwards and downwards, on links in `wire`, for one sample.
    pub fn wired(&self, at: usize, wire: Kind) -> [u64; 2] {
        let wire = if at == self.layers.len() { wire.at_loss() } else { wire };
        self.bytes(at, |numbers| wire.bytes(numbers))
    }
}

/// Counts the needs of a layer, except for the tensors that it keeps. A number of an activation takes `number` bytes. The
/// errors at the values in `wanted` are needed.
fn count(
    layer: &LayerSpec,
    x: &[u64],
    [inputs, output]: [u64; 2],
    number: u64,
    wanted: &HashSet<&str>,
) -> LayerProfile {
    let op = &layer.op;
    let weights = op.weight_shape(x).map_or(0, |shape| shape.iter().product());
    let (backward, extra) = match &layer.rule {
        _ if !op.is_weight() => (0, 0),
        RuleSpec::Backprop => (0, 0),
        RuleSpec::SignSymmetry { .. } | RuleSpec::Product(_) => (weights, 0),
        RuleSpec::Learned { coefficients: c, alignment, .. } => {
            (weights, if alignment.mirror.is_none() { alignment_passes(c, alignment) } else { 0 })
        }
    };
    let macs = op.macs(x);
    let carried = layer.inputs.iter().any(|input| wanted.contains(input.as_str()));
    // Where B is on another host, y has gone there by the end of F.
    let shown = if layer.rule.keeps_output() && !layer.split { output } else { 0 };
    let counted = LayerProfile {
        parameters: op.parameters(x),
        backward,
        backward_learns: op.is_weight() && layer.rule.trains(),
        weights,
        macs,
        error_passes: u64::from(carried),
        gradient_passes: 1 + extra,
        touched: if op.is_weight() || matches!(op, Op::Flatten) { 0 } else { inputs + output },
        inputs,
        output,
        waiting: if op.is_weight() { (inputs + output + shown) * number } else { 0 },
        mirror: layer
            .rule
            .mirror()
            .map_or(0, |mirror| u64::from(mirror.batch) * 2 * (inputs + output) * number),
        mirror_macs: mirror_macs(&layer.rule, macs),
        ..LayerProfile::default()
    };
    match (layer.rule.product(), op.weight_shape(x)) {
        (Some(product), Some(weight)) => through(product, &weight, layer.split, counted, number),
        (None, _) | (_, None) => counted,
    }
}

/// The needs of a layer whose error goes through a fixed B and an R in the place of one B. R has the work of W for each of
/// its rows, and B takes every position of y.
fn through(product: &Product, weight: &[u64], split: bool, layer: LayerProfile, number: u64) -> LayerProfile {
    let numbers = |shape: Vec<u64>| shape.iter().product::<u64>();
    let (fixed, trained) = (numbers(product.fixed(weight)), numbers(product.trained(weight)));
    let positions = layer.output / weight[0];
    let (of_b, of_r) = (fixed.saturating_mul(positions), trained.saturating_mul(positions));
    let middle = product.mid(weight[0]).saturating_mul(positions);
    LayerProfile {
        backward: trained,
        fixed,
        error_passes: 0,
        error_macs: of_b + layer.error_passes * of_r,
        gradient_macs: of_r,
        middle,
        waiting: layer.waiting + if split { 0 } else { middle * number },
        ..layer
    }
}

/// Multiply-adds of the mirror steps, on a batch of their own, divided among the updates between them.
fn mirror_macs(rule: &RuleSpec, macs: u64) -> u64 {
    let RuleSpec::Learned { coefficients, alignment, .. } = rule else { return 0 };
    let passes = |mirror: &Mirror| u64::from(mirror.batch) * alignment_passes(coefficients, alignment);
    alignment.mirror.as_ref().map_or(0, |m| macs.saturating_mul(passes(m)).checked_div(m.every).unwrap_or(0))
}

/// Passes over B's samples that B's loss takes, each with the work of a forward.
fn alignment_passes(c: &Coefficients, alignment: &Alignment) -> u64 {
    let alone: u64 = c.terms().map(|(one, _)| one.facts().passes).sum();
    let [amp, sparse] = [Primitive::Amp, Primitive::Sparse].map(|one| c.of(one) != 0.0);
    // One filter gradient serves amp and sparse. Under an activation amp needs z, which sparse has.
    let shared = u64::from(amp && sparse);
    let with_z = amp && !sparse && alignment.transfer != Transfer::Identity;
    // An x that isn't the layer's input needs a y of its own.
    let again = !alignment.is_fed_input() && c.use_output();
    alone - shared + u64::from(with_z) + u64::from(again)
}

/// Numbers over the cut before each layer and after the last layer: of all values upwards, and of each value downwards.
fn crossings(inputs: &[Vec<usize>], elements: &[u64]) -> (Vec<u64>, Vec<Vec<u64>>) {
    let layers = inputs.len();
    // A value crosses from the cut after its layer to the cut before its last consumer.
    let mut last: Vec<Option<usize>> = vec![None; elements.len()];
    inputs.iter().enumerate().for_each(|(i, inputs)| inputs.iter().for_each(|&input| last[input] = Some(i)));
    last[layers] = Some(layers);
    let mut activations = vec![0; layers + 1];
    let mut errors = vec![Vec::new(); layers + 1];
    for (value, last) in last.into_iter().enumerate() {
        for at in last.map_or(0..0, |last| value..last + 1) {
            activations[at] += elements[value];
            errors[at].extend((value > 0).then_some(elements[value]));
        }
    }
    (activations, errors)
}
