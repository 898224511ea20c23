//! The state of a stage: the name and the shape of every tensor that survives a step, as they follow from its
//! specification.

use super::graph::{self, LayerSpec, Op};
use super::optimizer::Method;
use super::rule::RuleSpec;
use super::stage::{Half, StageSpec};
use crate::error::ProtocolError;
use std::collections::{BTreeMap, HashMap};

/// One tensor of a node's state, in f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateTensor {
    /// The tensor's name in the node's snapshots.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its use.
    pub role: TensorRole,
    /// The layer of the tensor.
    pub layer: String,
}

/// The use of a tensor of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// W, a bias, or a norm's parameters and statistics: a forward pass takes them.
    Forward,
    /// B, or the R of product feedback alignment.
    Backward,
    /// The fixed B of product feedback alignment.
    Fixed,
    /// The state that an optimizer keeps of a parameter.
    Slot {
        /// The name of the parameter.
        of: String,
    },
}

/// The tensors of the node `spec`, in the order of its layers.
///
/// # Errors
/// The error of [`graph::infer_shapes`].
pub fn state_of(spec: &StageSpec) -> Result<Vec<StateTensor>, ProtocolError> {
    let computed = graph::infer_shapes(&spec.inputs, &spec.layers)?;
    let known = spec.inputs.iter().chain(&computed);
    let shapes: HashMap<&str, &[u64]> =
        known.map(|value| (value.name.as_str(), value.shape.as_slice())).collect();
    let input = |layer: &LayerSpec| shapes[layer.inputs[0].as_str()];
    let mut state = Vec::new();
    for layer in &spec.layers {
        let mut layers = OfLayer { layer, spec, tensors: &mut state };
        match spec.half {
            Half::Forward => layers.forward(input(layer)),
            Half::Backward if layer.split => layers.backward(input(layer)),
            Half::Backward => {}
        }
    }
    Ok(state)
}

/// The tensors of one layer.
struct OfLayer<'a> {
    layer: &'a LayerSpec,
    spec: &'a StageSpec,
    tensors: &'a mut Vec<StateTensor>,
}

impl OfLayer<'_> {
    /// Adds the tensors that the stage itself keeps of a layer whose input has the shape `x`.
    fn forward(&mut self, x: &[u64]) {
        let method = self.spec.optimizer.method;
        match self.layer.op {
            Op::Conv2d { out, bias, .. } | Op::Linear { out, bias, .. } => {
                self.parameter("weight", self.weight_shape(x), TensorRole::Forward, &method);
                if !self.layer.split {
                    self.backward(x);
                }
                if bias {
                    self.parameter("bias", vec![u64::from(out)], TensorRole::Forward, &method);
                }
            }
            Op::Bias => self.parameter("bias", vec![x[0]], TensorRole::Forward, &method),
            Op::BatchNorm { .. } => {
                for name in ["weight", "bias"] {
                    self.parameter(name, vec![x[0]], TensorRole::Forward, &method);
                }
                for name in ["running_mean", "running_var"] {
                    self.tensor(format!("{}.{name}", self.layer.name), vec![x[0]], TensorRole::Forward);
                }
            }
            Op::Relu | Op::MaxPool(_) | Op::AvgPool(_) | Op::Flatten | Op::Add => {}
        }
    }

    /// Adds B, which a layer under backprop does not have, and its optimizer's state. A B that takes no steps of its own
    /// needs no such state. Under product feedback alignment R comes first, and then B.
    fn backward(&mut self, x: &[u64]) {
        let (weight, trained) = (self.weight_shape(x), self.spec.optimizer_backward.method);
        let (shape, method) = match &self.layer.rule {
            RuleSpec::Backprop => return,
            RuleSpec::SignSymmetry { .. } => (weight, Method::Sgd { momentum: 0.0, nesterov: false }),
            RuleSpec::Learned { .. } => (weight, trained),
            RuleSpec::Product(product) => (product.trained(&weight), trained),
        };
        self.parameter("weight_backward", shape, TensorRole::Backward, &method);
        if let Some(product) = self.layer.rule.product() {
            let fixed = product.fixed(&self.weight_shape(x));
            self.tensor(format!("{}.feedback", self.layer.name), fixed, TensorRole::Fixed);
        }
    }

    fn weight_shape(&self, x: &[u64]) -> Vec<u64> {
        self.layer.op.weight_shape(x).unwrap_or_default()
    }

    fn parameter(&mut self, name: &str, shape: Vec<u64>, role: TensorRole, method: &Method) {
        let name = format!("{}.{name}", self.layer.name);
        for slot in method.slots() {
            self.tensor(format!("{name}.{slot}"), shape.clone(), TensorRole::Slot { of: name.clone() });
        }
        self.tensor(name, shape, role);
    }

    fn tensor(&mut self, name: String, shape: Vec<u64>, role: TensorRole) {
        self.tensors.push(StateTensor { name, shape, role, layer: self.layer.name.clone() });
    }
}

/// The tensors of a state whose names and shapes are in `all`, with the roles that follow from the names.
pub fn state_by_name(all: &BTreeMap<String, Vec<u64>>) -> Vec<StateTensor> {
    let tensor = |(name, shape): (&String, &Vec<u64>)| {
        let parameter = parameter_of(name, all);
        let role = match (parameter, name.rsplit_once('.')) {
            (Some(of), _) => TensorRole::Slot { of: of.to_owned() },
            (None, Some((_, "weight_backward"))) => TensorRole::Backward,
            (None, Some((_, "feedback"))) => TensorRole::Fixed,
            (None, _) => TensorRole::Forward,
        };
        let named = parameter.unwrap_or(name);
        let layer = named.rsplit_once('.').map_or(named, |(layer, _)| layer).to_owned();
        StateTensor { name: name.clone(), shape: shape.clone(), role, layer }
    };
    all.iter().map(tensor).collect()
}

/// The parameter of which an optimizer keeps the tensor `name`, in a state whose names are in `all`.
fn parameter_of<'a>(name: &'a str, all: &BTreeMap<String, Vec<u64>>) -> Option<&'a str> {
    let [sgd, adam] =
        [Method::Sgd { momentum: 1.0, nesterov: false }, Method::Adam { beta1: 0.0, beta2: 0.0, eps: 0.0 }];
    let (parameter, slot) = name.rsplit_once('.')?;
    let known = sgd.slots().iter().chain(adam.slots()).any(|known| *known == slot);
    (known && all.contains_key(parameter)).then_some(parameter)
}
