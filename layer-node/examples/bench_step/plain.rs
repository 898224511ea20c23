//! The reference: a loop of torch with autograd and torch's own SGD, over the same layers and the same microbatches.

use crate::networks::{CLASSES, Case};
use crate::stage::{Error, MOMENTUM, Node, RATE};
use proto::spec::graph::{INPUT, LayerSpec, Op};
use std::collections::HashMap;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Tensor};

/// The network as torch trains it.
pub struct Plain<'a> {
    layers: &'a [LayerSpec],
    tensors: HashMap<String, Tensor>,
    optimizer: nn::Optimizer,
    /// One microbatch, and its classes.
    images: Tensor,
    labels: Tensor,
    microbatches: i64,
}

impl<'a> Plain<'a> {
    /// The network of `case`, beginning with the weights of `node`.
    pub fn new(case: &'a Case, node: &mut Node) -> Result<Self, Error> {
        let store = nn::VarStore::new(Device::Cpu);
        let mut tensors = HashMap::new();
        for (name, tensor) in node.state() {
            if !name.ends_with(".momentum") {
                let is_trained = !name.contains("running");
                let added = store.root().add(&name.replace('.', "/"), tensor, is_trained);
                tensors.insert(name, added);
            }
        }
        let optimizer = nn::sgd(MOMENTUM, 0.0, 0.0, true).build(&store, RATE)?;
        let labels = Tensor::arange(case.size(), (tch::Kind::Int64, Device::Cpu)).remainder(CLASSES);
        let (layers, images, microbatches) = (&case.layers[..], node.images()?, case.microbatches);
        Ok(Self { layers, tensors, optimizer, images, labels, microbatches })
    }

    /// Trains, microbatch after microbatch.
    pub fn train(&mut self, steps: u64) {
        for _ in 0..steps {
            self.optimizer.zero_grad();
            for _ in 0..self.microbatches {
                let loss = self.forward().cross_entropy_for_logits(&self.labels) / self.microbatches as f64;
                loss.backward();
            }
            self.optimizer.step();
        }
    }

    /// The network's output for the microbatch.
    fn forward(&self) -> Tensor {
        let mut values: HashMap<&str, Tensor> = HashMap::new();
        values.insert(INPUT, self.images.shallow_clone());
        let mut output = self.images.shallow_clone();
        for layer in self.layers {
            let inputs: Vec<&Tensor> = layer.inputs.iter().map(|name| &values[name.as_str()]).collect();
            output = self.layer(layer, &inputs);
            values.insert(&layer.name, output.shallow_clone());
        }
        output
    }

    fn layer(&self, layer: &LayerSpec, inputs: &[&Tensor]) -> Tensor {
        let own = |what: &str| self.tensors.get(&format!("{}.{what}", layer.name));
        let (x, square) = (inputs[0], |side: u32| [i64::from(side); 2]);
        match &layer.op {
            Op::Conv2d { stride, padding, .. } => {
                let w = &self.tensors[&format!("{}.weight", layer.name)];
                x.conv2d(w, own("bias"), square(*stride), square(*padding), [1, 1], 1)
            }
            Op::Linear { .. } => x.linear(&self.tensors[&format!("{}.weight", layer.name)], own("bias")),
            Op::BatchNorm { eps, momentum, .. } => {
                let [gamma, beta, mean, variance] =
                    ["weight", "bias", "running_mean", "running_var"].map(own);
                x.batch_norm(gamma, beta, mean, variance, true, *momentum, *eps, false)
            }
            Op::Relu => x.relu(),
            Op::MaxPool(window) => {
                let [kernel, stride, padding] = [window.kernel, window.stride, window.padding].map(square);
                x.max_pool2d(kernel, stride, padding, [1, 1], false)
            }
            // The networks of the bench average over the whole plane alone.
            Op::AvgPool(_) => x.mean_dim([2i64, 3].as_slice(), true, None),
            Op::Flatten => x.flatten(1, -1),
            Op::Add => inputs[1..].iter().fold(x.shallow_clone(), |sum, more| sum + *more),
            Op::Bias => match own("bias") {
                Some(bias) => x + bias,
                None => x.shallow_clone(),
            },
        }
    }
}
