//! Networks: graphs of layers, from the zoo or from the user.

pub mod custom;
pub mod profile;
pub mod zoo;

use proto::error::ProtocolError;
use proto::spec::graph::Value;
use proto::spec::graph::{self, LayerSpec};

/// A network: its input, its layers in the order of their computation, and where its blocks begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The shape of one sample.
    pub input: Value,
    /// The graph; the last layer's value is the output.
    pub layers: Vec<LayerSpec>,
    /// Indices into `layers` at which a block begins, ascending, the first being 0.
    pub blocks: Vec<usize>,
}

impl Network {
    /// The values of all layers, with the shape of one sample.
    ///
    /// # Errors
    /// The error of [`graph::infer_shapes`], with the layer's name.
    pub fn values(&self) -> Result<Vec<Value>, ProtocolError> {
        graph::infer_shapes(std::slice::from_ref(&self.input), &self.layers)
    }
}
