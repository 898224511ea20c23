//! The test networks, for small images of three channels.

use crate::common::{NORM, conv, layer, linear, window};
use proto::spec::graph::{INPUT, LayerSpec, Op};

/// A plain convolutional network.
pub fn plain() -> Vec<LayerSpec> {
    vec![
        layer("conv1", INPUT, conv(8, 3, 1, 1, true)),
        layer("relu1", "conv1", Op::Relu),
        layer("conv2", "relu1", conv(16, 3, 2, 1, false)),
        layer("norm2", "conv2", NORM),
        layer("relu2", "norm2", Op::Relu),
        layer("pool2", "relu2", Op::MaxPool(window(3, 2, 1))),
        layer("flat", "pool2", Op::Flatten),
        layer("head", "flat", linear(10, true)),
    ]
}

/// A stem, and a block that halves the planes and has a 1×1 convolution in its skip, on values named `input`.
pub fn residual(input: &str, [stem, block]: [u32; 2], classes: u32) -> Vec<LayerSpec> {
    vec![
        layer("stem", input, conv(stem, 3, 1, 1, false)),
        layer("norm0", "stem", NORM),
        layer("relu0", "norm0", Op::Relu),
        layer("conv1", "relu0", conv(block, 3, 2, 1, false)),
        layer("norm1", "conv1", NORM),
        layer("relu1", "norm1", Op::Relu),
        layer("conv2", "relu1", conv(block, 3, 1, 1, false)),
        layer("norm2", "conv2", NORM),
        layer("down", "relu0", conv(block, 1, 2, 0, false)),
        layer("norm3", "down", NORM),
        layer("sum", "norm2 norm3", Op::Add),
        layer("relu2", "sum", Op::Relu),
        layer("pool", "relu2", Op::AvgPool(window(0, 1, 0))),
        layer("flat", "pool", Op::Flatten),
        layer("head", "flat", linear(classes, true)),
    ]
}

/// A block with a plain skip, with norms, each kind of pooling, and biases.
pub fn pooled() -> Vec<LayerSpec> {
    vec![
        layer("stem", INPUT, conv(8, 3, 1, 1, true)),
        layer("norm0", "stem", NORM),
        layer("relu0", "norm0", Op::Relu),
        layer("pool0", "relu0", Op::MaxPool(window(2, 2, 0))),
        layer("conv1", "pool0", conv(8, 3, 1, 1, false)),
        layer("norm1", "conv1", NORM),
        layer("relu1", "norm1", Op::Relu),
        layer("conv2", "relu1", conv(8, 3, 1, 1, false)),
        layer("norm2", "conv2", NORM),
        layer("sum", "norm2 pool0", Op::Add),
        layer("relu2", "sum", Op::Relu),
        layer("pool", "relu2", Op::AvgPool(window(0, 1, 0))),
        layer("flat", "pool", Op::Flatten),
        layer("head", "flat", linear(5, true)),
    ]
}

/// Values with up to four consumers, and the network's input needed late.
pub fn tangled() -> Vec<LayerSpec> {
    vec![
        layer("a", INPUT, conv(8, 3, 1, 1, false)),
        layer("b", "a", conv(8, 3, 1, 1, false)),
        layer("c", "a b", Op::Add),
        layer("d", INPUT, conv(8, 1, 1, 0, true)),
        layer("e", "c a a d", Op::Add),
        layer("f", "e", Op::AvgPool(window(2, 2, 0))),
        layer("g", "f", Op::Flatten),
        layer("h", "g", linear(10, true)),
    ]
}
