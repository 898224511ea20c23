//! A draft of a network: layers are added on top of named values.

use proto::spec::graph::Value;
use proto::spec::graph::{INPUT, Init, LayerSpec, Op, Window};
use proto::spec::rule::RuleSpec;

use super::Options;
use crate::model::Network;

/// The network so far. Every method that adds a layer returns the layer's name.
pub(super) struct Draft<'a> {
    options: &'a Options,
    layers: Vec<LayerSpec>,
    blocks: Vec<usize>,
}

impl<'a> Draft<'a> {
    /// An empty draft.
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options, layers: Vec::new(), blocks: Vec::new() }
    }

    /// The options of the network.
    pub(super) fn options(&self) -> &'a Options {
        self.options
    }

    /// Makes the next layer begin a block.
    pub(super) fn block(&mut self) {
        self.blocks.push(self.layers.len());
    }

    /// Adds a layer.
    pub(super) fn add(&mut self, name: impl Into<String>, inputs: &[&str], op: Op) -> String {
        let name = name.into();
        let rule = if op.is_weight() { self.options.rule.clone() } else { RuleSpec::default() };
        self.layers.push(LayerSpec { rule, ..LayerSpec::new(&name, inputs, op) });
        name
    }

    /// Adds a convolution with an odd `kernel`, which changes the plane only by its stride.
    pub(super) fn conv(&mut self, name: String, x: &str, window: Convolution) -> String {
        let Convolution { out, kernel, stride, bias } = window;
        let op = Op::Conv2d { out, kernel, stride, padding: kernel / 2, bias, init: Init::FanIn };
        self.add(name, &[x], op)
    }

    /// Adds a batch norm that starts with this γ.
    pub(super) fn norm(&mut self, name: String, x: &str, gamma: f64) -> String {
        self.add(name, &[x], Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma })
    }

    /// Adds max(0, x).
    pub(super) fn relu(&mut self, name: impl Into<String>, x: &str) -> String {
        self.add(name, &[x], Op::Relu)
    }

    /// Adds a max pooling.
    pub(super) fn max_pool(&mut self, name: impl Into<String>, x: &str, window: Window) -> String {
        self.add(name, &[x], Op::MaxPool(window))
    }

    /// Adds a layer that flattens each sample to one vector.
    pub(super) fn flatten(&mut self, x: &str) -> String {
        self.add("flatten", &[x], Op::Flatten)
    }

    /// Adds a dense layer with a bias.
    pub(super) fn linear(&mut self, name: impl Into<String>, x: &str, out: u32) -> String {
        self.add(name, &[x], Op::Linear { out, bias: true, init: Init::FanIn })
    }

    /// Adds the last dense layer, whose features are the classes; its weights are drawn from N(0, 0.01).
    pub(super) fn classes(&mut self, name: impl Into<String>, x: &str) -> String {
        self.add(name, &[x], Op::Linear { out: self.options.classes, bias: true, init: Init::Normal(0.01) })
    }

    /// Adds the end of a residual network. The mean of each plane belongs to the last block, so that a cut before
    /// `fc`, the last of the blocks, carries one number per channel.
    pub(super) fn mean_and_classes(&mut self, x: &str) {
        let mean = self.add("avgpool", &[x], Op::AvgPool(Window::PLANE));
        let flat = self.flatten(&mean);
        self.block();
        self.classes("fc", &flat);
    }

    /// The network as drafted.
    pub(super) fn finish(self) -> Network {
        let Options { channels, image, .. } = *self.options;
        let shape = vec![channels.into(), image.into(), image.into()];
        Network { input: Value { name: INPUT.into(), shape }, layers: self.layers, blocks: self.blocks }
    }
}

/// A convolution's window and channels.
#[derive(Clone, Copy)]
pub(super) struct Convolution {
    pub(super) out: u32,
    pub(super) kernel: u32,
    pub(super) stride: u32,
    pub(super) bias: bool,
}

impl Convolution {
    /// A convolution without a bias, for use before a norm.
    pub(super) fn plain(out: u32, kernel: u32, stride: u32) -> Self {
        Self { out, kernel, stride, bias: false }
    }
}
