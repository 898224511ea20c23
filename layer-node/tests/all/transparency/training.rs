//! Training in stages that exchange bytes, and its samples and loss.

use super::lanes::Order;
use crate::common::{build, id, nesterov, random_f32, slice, state, training, value};
use layer_node::exec::device;
use layer_node::stage::{Stage, Values, Whole};
use proto::lane::{Action, Lane};
use proto::link::Carried;
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{INPUT, LayerSpec};
use proto::spec::input::InputSpec;
use proto::spec::layout::Layout;
use proto::spec::optimizer::OptimizerSpec;
use proto::spec::precision::Precision;
use proto::spec::stage::StageSpec;
use std::collections::BTreeMap;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// The samples of each microbatch, so M is 3. A microbatch of one sample takes another convolution of torch.
pub const SIZES: [i64; 3] = [4, 1, 3];
pub const N: u32 = 8;
pub const LR: f64 = 0.05;
pub const DECAY: f64 = 0.01;

/// A microbatch of images in bytes, and the target of its output.
pub fn sample(m: MicrobatchId) -> (Tensor, Tensor) {
    let (which, size) = (format!("{}/{}", m.step, m.index), SIZES[m.index as usize]);
    let pixels = random_f32(&format!("x {which}"), &[size, 3, 8, 8]) * 60.0 + 128.0;
    let pixels = pixels.clamp(0.0, 255.0).to_kind(Kind::Uint8);
    (pixels, random_f32(&format!("target {which}"), &[size, 10]))
}

/// The normalisation of the images.
pub fn input() -> InputSpec {
    InputSpec { mean: vec![0.485, 0.456, 0.406], deviation: vec![0.229, 0.224, 0.225] }
}

/// The gradient of Σ (y − target)² / 2N.
pub fn loss_error(y: &Tensor, target: &Tensor) -> Tensor {
    (y - target) / f64::from(N)
}

/// The network in stages that begin at layer 0 and at each of `cuts`.
pub fn stages(layers: &[LayerSpec], cuts: &[usize], kind: Kind) -> Vec<Stage> {
    let bounds: Vec<usize> = [0].iter().chain(cuts).copied().chain([layers.len()]).collect();
    let optimizer = nesterov(LR, DECAY);
    let stage = |ends: &[usize]| {
        let spec = slice(layers, value(INPUT, &[3, 8, 8]), ends[0]..ends[1]);
        StageSpec {
            optimizer_backward: OptimizerSpec { weight_decay: 0.0, ..optimizer.clone() },
            optimizer: optimizer.clone(),
            seed: 3,
            input: spec.input.as_ref().map(|_| input()),
            ..spec
        }
    };
    bounds.windows(2).map(|ends| build(&stage(ends), kind)).collect()
}

/// The initial state of the network.
pub fn initial(layers: &[LayerSpec], kind: Kind) -> BTreeMap<String, Tensor> {
    state(&mut stages(layers, &[], kind)[0])
}

/// The number formats of a run: of its stages, and of its links.
#[derive(Clone, Copy, Debug)]
pub struct Formats(pub Precision, pub proto::tensor::Kind);

impl Formats {
    pub const F32: Self = Self(Precision::F32, proto::tensor::Kind::F32);

    /// The number format of activations and errors.
    pub fn kind(self) -> Kind {
        if self.0 == Precision::Bf16 { Kind::BFloat16 } else { Kind::Float }
    }

    /// The number formats at a cut. Numbers of 8 bits do not reach the loss.
    fn at(self, loss: bool) -> Self {
        if loss { Self(self.0, self.1.at_loss()) } else { self }
    }

    /// Converts values to bytes and back, as two processes do.
    fn wire(self, values: Values) -> Values {
        let mut device = device::open(Device::Cpu).unwrap();
        device.compute_in(self.0, Layout::default()).unwrap();
        let sent =
            device.download(values, Carried::Activations, self.1).and_then(|sent| sent.complete()).unwrap();
        device.upload(&sent).unwrap()
    }
}

/// The lane of a stage for `steps`: the lanes of the single steps in a row.
fn lane(order: Order, s: usize, n: usize, steps: &Range<u64>) -> Lane {
    let of_step = |step| order(s as u32, n as u32).into_iter().map(move |action| action.in_step(step));
    training(steps.clone().flat_map(of_step).collect())
}

/// Runs some steps: every stage follows one lane until it needs a value that has not come, and the loss answers at
/// once. In a network that is cut, the B of each layer follows its W as late as it may: one layer after each F, and the rest
/// before E. Returns the network's outputs.
pub fn run(
    stages: &mut [Stage],
    order: Order,
    steps: Range<u64>,
    formats: Formats,
) -> Vec<(MicrobatchId, Tensor)> {
    let n = stages.len();
    // The values at the cut below stage s (n: at the loss), as the receiver has them.
    let wire = |s: usize, values| formats.at(s == n).wire(values);
    let lanes: Vec<Lane> = (0..n).map(|s| lane(order, s, n, &steps)).collect();
    let mut at = vec![0; n];
    // The values that wait below stage s (n: at the loss), and those that wait above it.
    let mut up: BTreeMap<(usize, MicrobatchId), Values> = BTreeMap::new();
    let mut down: BTreeMap<(usize, MicrobatchId), Values> = BTreeMap::new();
    for m in steps.flat_map(|step| (0..SIZES.len() as u32).map(move |m| MicrobatchId { step, ..id(m) })) {
        up.insert((0, m), vec![(INPUT.to_owned(), sample(m).0)]);
    }
    let mut outputs = Vec::new();
    while at.iter().zip(&lanes).any(|(&at, lane)| at < lane.actions().len()) {
        let before = at.clone();
        for (s, stage) in stages.iter_mut().enumerate() {
            let Some(&action) = lanes[s].actions().get(at[s]) else { continue };
            match action {
                Action::Forward(m) => {
                    let Some(inputs) = up.remove(&(s, m)) else { continue };
                    let inputs = wire(s, inputs);
                    let above = wire(s + 1, stage.forward(m, inputs, Phase::Train, &mut Whole).unwrap());
                    stage.follow().unwrap();
                    if s + 1 == n {
                        let (name, y) = &above[0];
                        down.insert((s, m), vec![(name.clone(), loss_error(y, &sample(m).1))]);
                        outputs.push((m, y.shallow_clone()));
                    } else {
                        up.insert((s + 1, m), above);
                    }
                }
                Action::Error(m) => {
                    let Some(errors) = down.remove(&(s, m)) else { continue };
                    while stage.follow().unwrap() {}
                    let below = wire(s, stage.error(m, wire(s + 1, errors), &mut Whole).unwrap());
                    if s > 0 {
                        down.insert((s - 1, m), below);
                    }
                }
                Action::Gradient(m) => stage.gradient(m, N).unwrap(),
                Action::Update(_) if n > 1 => stage.update_forward().unwrap(),
                Action::Update(_) => stage.update(&mut Whole).unwrap(),
            }
            at[s] += 1;
        }
        assert_ne!(at, before, "the lanes wait for each other");
    }
    stages.iter_mut().for_each(|stage| while stage.follow().unwrap() {});
    outputs
}
