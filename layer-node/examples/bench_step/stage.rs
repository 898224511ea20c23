//! The stage of a node, from the bytes of a message to the bytes of its answer, without the links between.

use crate::networks::{CLASSES, Case};
use bytes::Bytes;
use layer_node::exec::device::{self, Device};
use layer_node::settings::Settings;
use layer_node::stage::{Stage, StageError, Whole};
use proto::link::Carried;
use proto::microbatch::{MicrobatchId, Phase};
use proto::spec::graph::{INPUT, Value};
use proto::spec::input::InputSpec;
use proto::spec::optimizer::{Method, OptimizerSpec};
use proto::spec::stage::StageSpec;
use proto::tensor::{Kind, TensorData};
use std::collections::BTreeMap;
use tch::Tensor;

/// A failure of either side.
pub type Error = Box<dyn std::error::Error>;

/// The learning rate of both sides.
pub const RATE: f64 = 0.01;
/// The momentum of both sides, which is Nesterov's.
pub const MOMENTUM: f64 = 0.9;

/// A node without its links.
pub struct Node {
    stage: Stage,
    device: Box<dyn Device>,
    /// One microbatch, as it arrives.
    images: Vec<(String, TensorData)>,
    /// The output's name, and the error that the coordinator sends for each microbatch.
    error: Vec<(String, TensorData)>,
    microbatches: u32,
    batch: u32,
    steps: u64,
}

impl Node {
    /// The whole network of `case` in one stage.
    pub fn new(case: &Case) -> Result<Self, Error> {
        let shape = case.image.map(|side| side as u64);
        let input = Value { name: INPUT.into(), shape: shape.to_vec() };
        let method = Method::Sgd { momentum: MOMENTUM, nesterov: true };
        let spec = StageSpec {
            optimizer: OptimizerSpec { method, ..OptimizerSpec::sgd(RATE) },
            max_microbatch: case.size() as u32,
            max_microbatches: case.microbatches as u32,
            input: Some(InputSpec::plain(case.image[0] as usize)),
            ..StageSpec::alone(case.layers.clone(), vec![input])
        };
        let mut device = device::open(tch::Device::Cpu)?;
        device.compute_in(spec.precision, spec.layout)?;
        let (place, kind) = device.options();
        let stage = Stage::new(&spec, Settings::of(&spec, place, kind))?;
        let shape: Vec<u64> = std::iter::once(case.size() as u64).chain(shape).collect();
        let images = TensorData::new(Kind::U8, shape, vec![pixels(case)])?;
        let numbers = (0..case.size() * CLASSES).map(|at| (at % CLASSES - 4) as f32 / 1e3);
        let error = vec![case.size() as u64, CLASSES as u64];
        let error = TensorData::from_f32(error, &numbers.collect::<Vec<_>>())?;
        Ok(Self {
            stage,
            device,
            images: vec![(INPUT.into(), images)],
            error: vec![(spec.outputs[0].clone(), error)],
            microbatches: case.microbatches as u32,
            batch: case.batch as u32,
            steps: 0,
        })
    }

    /// Trains, by the lane of the only stage: F0 F1 E0 G0 F2 E1 G1 … U.
    pub fn train(&mut self, steps: u64) -> Result<(), Error> {
        for _ in 0..steps {
            self.steps += 1;
            for index in 0..=self.microbatches {
                if index < self.microbatches {
                    self.forward(index)?;
                }
                if let Some(before) = index.checked_sub(1) {
                    self.backward(before)?;
                }
            }
            self.stage.update(&mut Whole)?;
        }
        Ok(())
    }

    /// The name of a microbatch of the current step.
    fn id(&self, index: u32) -> MicrobatchId {
        MicrobatchId { step: self.steps, index }
    }

    fn forward(&mut self, index: u32) -> Result<(), StageError> {
        let inputs = self.device.upload(&self.images)?;
        let outputs = self.stage.forward(self.id(index), inputs, Phase::Train, &mut Whole)?;
        self.device.note_outputs(&outputs, Kind::F32)?;
        self.device.download(outputs, Carried::Activations, Kind::F32)?.complete().map(drop)
    }

    fn backward(&mut self, index: u32) -> Result<(), StageError> {
        let error = self.device.upload(&self.error)?;
        self.stage.error(self.id(index), error, &mut Whole)?;
        self.stage.gradient(self.id(index), self.batch)
    }

    /// A copy of the first state, by name.
    pub fn state(&mut self) -> BTreeMap<String, Tensor> {
        self.stage.state().0.into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
    }

    /// The microbatch as torch's numbers from 0 to 1, in the node's memory order (`node.layout`), so that torch's kernels
    /// on both sides meet the same one.
    pub fn images(&mut self) -> Result<Tensor, Error> {
        let (_, images) = self.device.upload(&self.images)?.remove(0);
        Ok(images.f_to_kind(tch::Kind::Float)?.f_div_scalar(255.0)?)
    }
}

/// The bytes of a microbatch of noise.
fn pixels(case: &Case) -> Bytes {
    let count = case.size() * case.image.iter().product::<i64>();
    (0..count as u64).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
