//! The helpers that tests of layers and stages share: specifications, stages, lanes and random tensors.

use bytes::Bytes;
use layer_node::layer::Layer;
use layer_node::settings::Settings;
use layer_node::stage::Stage;
use layer_node::torch;
use proto::lane::{Action, Lane, WeightVersion};
use proto::microbatch::{MicrobatchId, Phase};
use proto::seed;
use proto::spec::graph::{self, Init, LayerSpec, Op, Value, Window};
use proto::spec::layout::Layout;
use proto::spec::optimizer::{Method, OptimizerSpec};
use proto::spec::rule::RuleSpec;
use proto::spec::stage::StageSpec;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeMap;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// A batch norm with the zoo's parameters.
pub const NORM: Op = Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 };

pub const fn conv(out: u32, kernel: u32, stride: u32, padding: u32, bias: bool) -> Op {
    Op::Conv2d { out, kernel, stride, padding, bias, init: Init::FanIn }
}

pub const fn linear(out: u32, bias: bool) -> Op {
    Op::Linear { out, bias, init: Init::FanIn }
}

pub const fn window(kernel: u32, stride: u32, padding: u32) -> Window {
    Window { kernel, stride, padding }
}

/// A layer on `inputs`, which are separated by spaces.
pub fn layer(name: &str, inputs: &str, op: Op) -> LayerSpec {
    LayerSpec::new(name, &inputs.split(' ').collect::<Vec<_>>(), op)
}

/// `layers`, all under `rule`.
pub fn under(rule: &RuleSpec, layers: Vec<LayerSpec>) -> Vec<LayerSpec> {
    layers.into_iter().map(|spec| LayerSpec { rule: rule.clone(), ..spec }).collect()
}

pub fn value(name: &str, shape: &[u64]) -> Value {
    Value { name: name.into(), shape: shape.into() }
}

/// SGD with Nesterov's momentum.
pub fn nesterov(lr: f64, weight_decay: f64) -> OptimizerSpec {
    OptimizerSpec {
        method: Method::Sgd { momentum: 0.9, nesterov: true },
        weight_decay,
        ..OptimizerSpec::sgd(lr)
    }
}

/// The stage of `layers[range]` in a network on `input`.
pub fn slice(layers: &[LayerSpec], input: Value, range: Range<usize>) -> StageSpec {
    let mut values = vec![input.clone()];
    values.extend(graph::infer_shapes(&[input], layers).unwrap());
    let find = |name: &str| values.iter().find(|value| value.name == name).unwrap().clone();
    let inputs = graph::crossing(layers, range.start).into_iter().map(find).collect();
    let outputs = graph::crossing(layers, range.end).into_iter().map(str::to_owned).collect();
    StageSpec { outputs, ..StageSpec::alone(layers[range].to_vec(), inputs) }
}

/// The settings for float64 on the CPU, with an optimizer for W and an optimizer for B.
pub fn double(optimizer: OptimizerSpec, optimizer_backward: OptimizerSpec) -> Settings {
    one_thread();
    let (device, kind) = (Device::Cpu, Kind::Double);
    Settings {
        device,
        kind,
        layout: Layout::default(),
        seed: 3,
        optimizer,
        optimizer_backward,
        loss_scale: 1.0,
        backward_is_weight: false,
    }
}

/// Tests run in parallel: with more threads, many small products would wait for each other.
fn one_thread() {
    tch::set_num_threads(1);
}

/// The stage of `spec`, on the CPU.
pub fn build(spec: &StageSpec, kind: Kind) -> Stage {
    one_thread();
    Stage::new(spec, Settings::of(spec, Device::Cpu, kind)).unwrap()
}

/// The whole update of a layer after `updates` others: that of W, and that of B.
pub fn update(layer: &mut dyn Layer, settings: &Settings, updates: u64) {
    layer.update(settings, updates).unwrap();
    layer.follow(settings, updates).unwrap();
}

/// Microbatch `index` of step 0.
pub fn id(index: u32) -> MicrobatchId {
    MicrobatchId { step: 0, index }
}

/// A training lane of `actions`.
pub fn training(actions: Vec<Action>) -> Lane {
    Lane::new(Phase::Train, WeightVersion::OfForward, actions).unwrap()
}

/// The training lane that `drawing` writes out.
pub fn lane(drawing: &str) -> Lane {
    training(drawing.split(' ').map(|action| action.parse().unwrap()).collect())
}

/// The bits of a float32 tensor.
pub fn bits(tensor: &Tensor) -> Bytes {
    torch::lend(&tensor.copy()).unwrap()
}

/// A copy of all tensors that a stage keeps, by name.
pub fn state(stage: &mut Stage) -> BTreeMap<String, Tensor> {
    stage.state().0.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

/// Normal numbers of the stream `name`, in float64.
pub fn random(name: &str, shape: &[i64]) -> Tensor {
    let rng = seed::rng(7, &[name]);
    let count = shape.iter().product::<i64>() as usize;
    let values: Vec<f64> = StandardNormal.sample_iter(rng).take(count).collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// Normal numbers of the stream `name`, in float32.
pub fn random_f32(name: &str, shape: &[i64]) -> Tensor {
    random(name, shape).to_kind(Kind::Float)
}

/// Whether every number is finite.
pub fn finite(tensor: &Tensor) -> bool {
    tensor.isfinite().all().int64_value(&[]) == 1
}
