//! A network in stages that hand each other bytes, and what they are trained on.

use super::lanes::Order;
use crate::common::{build, nesterov, random_f32, slice, state, value};
use layer_node::stage::{Stage, Values};
use layer_node::torch;
use proto::lane::{Action, Lane, Phase};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::optimizer::OptimizerSpec;
use proto::spec::stage::StageSpec;
use proto::tensor::TensorData;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Samples of the microbatches, so M is 3; one alone takes torch's other convolution.
pub const SIZES: [i64; 3] = [4, 1, 3];
pub const N: u32 = 8;
pub const LR: f64 = 0.05;
pub const DECAY: f64 = 0.01;

/// Microbatch `m` of step `step`, and what its output should have been.
pub fn sample(step: u64, m: u32) -> (Tensor, Tensor) {
    let (which, size) = (format!("{step}/{m}"), SIZES[m as usize]);
    (random_f32(&format!("x {which}"), &[size, 3, 8, 8]), random_f32(&format!("target {which}"), &[size, 10]))
}

/// The gradient of Σ (y − target)² / 2N.
pub fn loss_error(y: &Tensor, target: &Tensor) -> Tensor {
    (y - target) / f64::from(N)
}

/// The network in stages that begin at layer 0 and at each of `cuts`.
pub fn stages(layers: &[LayerSpec], cuts: &[usize], kind: Kind) -> Vec<Stage> {
    let bounds: Vec<usize> = [0].iter().chain(cuts).copied().chain([layers.len()]).collect();
    let optimizer = nesterov(LR, DECAY);
    let stage = |ends: &[usize]| StageSpec {
        optimizer_backward: OptimizerSpec { weight_decay: 0.0, ..optimizer.clone() },
        optimizer: optimizer.clone(),
        seed: 3,
        ..slice(layers, value(INPUT, &[3, 8, 8]), ends[0]..ends[1])
    };
    bounds.windows(2).map(|ends| build(&stage(ends), kind)).collect()
}

/// The state as it is drawn.
pub fn initial(layers: &[LayerSpec], kind: Kind) -> BTreeMap<String, Tensor> {
    state(&mut stages(layers, &[], kind)[0])
}

/// Through bytes and back, as between processes.
fn wire(values: Values) -> Values {
    let through = |(name, tensor): (String, Tensor)| {
        let bytes = torch::bytes_of(&tensor, Kind::Float).unwrap();
        let shape = tensor.size().iter().map(|&side| side as u64).collect();
        let data = TensorData::new(proto::tensor::Kind::F32, shape, vec![bytes]).unwrap();
        (name, torch::tensor_from(&data, Kind::Float, Device::Cpu).unwrap())
    };
    values.into_iter().map(through).collect()
}

/// Runs one step: every stage follows its lane as far as what it waits for has come; the loss answers at
/// once. Returns the network's outputs.
pub fn step(stages: &mut [Stage], order: Order, step: u64) -> Vec<Tensor> {
    let n = stages.len();
    let lane = |s: usize| Lane::new(Phase::Train, order(s as u32, n as u32)).unwrap();
    let lanes: Vec<Lane> = (0..n).map(lane).collect();
    let mut at = vec![0; n];
    // What waits at the foot of stage s (n: at the loss), and at its head.
    let mut up: BTreeMap<(usize, u32), Values> = BTreeMap::new();
    let mut down: BTreeMap<(usize, u32), Values> = BTreeMap::new();
    for m in 0..SIZES.len() as u32 {
        up.insert((0, m), vec![(INPUT.to_owned(), sample(step, m).0)]);
    }
    let mut outputs = Vec::new();
    while at.iter().zip(&lanes).any(|(&at, lane)| at < lane.actions().len()) {
        let before = at.clone();
        for (s, stage) in stages.iter_mut().enumerate() {
            let Some(&action) = lanes[s].actions().get(at[s]) else { continue };
            match action {
                Action::Forward(m) => {
                    let Some(inputs) = up.remove(&(s, m)) else { continue };
                    let above = wire(stage.forward(m, wire(inputs), Phase::Train).unwrap());
                    if s + 1 == n {
                        let (name, y) = &above[0];
                        down.insert((s, m), vec![(name.clone(), loss_error(y, &sample(step, m).1))]);
                        outputs.push(y.shallow_clone());
                    } else {
                        up.insert((s + 1, m), above);
                    }
                }
                Action::Error(m) => {
                    let Some(errors) = down.remove(&(s, m)) else { continue };
                    let below = wire(stage.error(m, wire(errors)).unwrap());
                    if s > 0 {
                        down.insert((s - 1, m), below);
                    }
                }
                Action::Gradient(m) => stage.gradient(m, N).unwrap(),
                Action::Update => stage.update().unwrap(),
            }
            at[s] += 1;
        }
        assert_ne!(at, before, "the lanes wait for each other");
    }
    outputs
}
