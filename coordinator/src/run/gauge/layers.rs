//! The layers that `coordinator bench` measures: one of each kind that the network has, with the input of the largest
//! layer of the kind, and in a form that keeps the shape, so that a chain of nodes can have one each.

use super::profile;
use crate::model::Network;
use crate::partition::{NodeFigures, kind};
use crate::run_error::RunError;
use proto::spec::graph::{INPUT, Init, LayerSpec, Op, Value, Window};
use proto::spec::precision::Precision;
use std::collections::BTreeMap;

/// The numbers of a long message and of a short one.
pub(super) const LONG: u64 = 1 << 20;
pub(super) const SHORT: u64 = 64;
/// The most numbers of a microbatch of a probe: enough for a steady rate, and little memory.
const NUMBERS: u64 = 1 << 21;
/// The most samples of it.
const SAMPLES: u64 = 32;

/// A layer whose speed is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probe {
    /// The name of the kind.
    pub(super) kind: &'static str,
    op: Op,
    /// The shape of one sample of its input and of its output.
    pub(super) shape: Vec<u64>,
    /// The samples of a microbatch.
    pub(super) samples: u32,
}

impl Probe {
    /// A probe for each kind of layer of `network`.
    ///
    /// # Errors
    /// A network whose layers do not fit together.
    pub(super) fn of(network: &Network) -> Result<Vec<Self>, RunError> {
        let values = network.values().map_err(RunError::configuration)?;
        let shape = |name: &str| {
            let value = values.iter().find(|value| value.name == name);
            value.or(Some(&network.input).filter(|_| name == INPUT)).map(|value| &value.shape)
        };
        let mut largest: BTreeMap<&'static str, (u64, Self)> = BTreeMap::new();
        for layer in &network.layers {
            let (Some(kind), Some(shape)) = (kind(&layer.op), shape(&layer.inputs[0])) else { continue };
            let Some(op) = keeping(&layer.op, shape) else { continue };
            let size = op.macs(shape).max(shape.iter().product());
            if largest.get(kind).is_none_or(|(known, _)| *known < size) {
                largest.insert(kind, (size, Self::new(kind, op, shape.clone())));
            }
        }
        Ok(largest.into_values().map(|(_, probe)| probe).collect())
    }

    /// The probe whose messages have so many numbers.
    pub(super) fn message(numbers: u64) -> Self {
        Self { kind: "relu", op: Op::Relu, shape: vec![numbers], samples: 1 }
    }

    fn new(kind: &'static str, op: Op, shape: Vec<u64>) -> Self {
        let each = shape.iter().product::<u64>().max(1);
        // A norm needs more than one value of each channel.
        let samples = (NUMBERS / each).clamp(2, SAMPLES) as u32;
        Self { kind, op, shape, samples }
    }

    /// The layer, by name, on the value `input`.
    pub(super) fn layer(&self, name: &str, input: &str) -> LayerSpec {
        LayerSpec::new(name, &[input], self.op)
    }

    /// Notes the speed of a node that takes so many `seconds` for F, E and G of a microbatch.
    pub(super) fn note(&self, node: &mut NodeFigures, precision: Precision, seconds: f64) {
        let Some(layer) = profile(self, precision) else { return };
        let per_second = f64::from(self.samples) / seconds.max(1e-9);
        // F, E and G are a pass each of a weight layer, and F and E of any other.
        let (rates, work) = if self.op.is_weight() {
            (&mut node.macs_per_second, 3 * layer.macs)
        } else {
            (&mut node.bytes_per_second, 2 * layer.touched * precision.size() as u64)
        };
        rates.insert(self.kind.to_owned(), work as f64 * per_second);
    }
}

/// A layer of the kind of `op` that keeps `shape`; `None` where the kind has none.
fn keeping(op: &Op, shape: &[u64]) -> Option<Op> {
    let first = *shape.first()?;
    let window = Window { kernel: 3, stride: 1, padding: 1 };
    let kept = match op {
        // A kernel of an even side cannot keep the plane.
        Op::Conv2d { kernel, .. } => {
            let (kernel, out) = (kernel - (1 - kernel % 2), u32::try_from(first).ok()?);
            Op::Conv2d { out, kernel, stride: 1, padding: kernel / 2, bias: false, init: Init::FanIn }
        }
        Op::Linear { .. } if shape.len() == 1 => {
            Op::Linear { out: u32::try_from(first).ok()?, bias: false, init: Init::FanIn }
        }
        Op::MaxPool(_) => Op::MaxPool(window),
        Op::AvgPool(_) => Op::AvgPool(window),
        Op::BatchNorm { .. } => *op,
        Op::Relu | Op::Add | Op::Bias => Op::Relu,
        Op::Linear { .. } | Op::Flatten => return None,
    };
    let input = Value { name: "x".into(), shape: shape.to_vec() };
    let layers = [LayerSpec::new("y", &["x"], kept)];
    let found = proto::spec::graph::infer_shapes(&[input], &layers).ok()?;
    (found.first()?.shape == shape).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_a_network_has_a_probe_that_keeps_its_shape() {
        let conv = |name, input, out, stride| {
            let op = Op::Conv2d { out, kernel: 3, stride, padding: 1, bias: true, init: Init::FanIn };
            LayerSpec::new(name, &[input], op)
        };
        let pool = Op::MaxPool(Window { kernel: 2, stride: 2, padding: 0 });
        let layers = vec![
            conv("a", INPUT, 8, 1),
            conv("b", "a", 16, 2),
            LayerSpec::new("r", &["b"], Op::Relu),
            LayerSpec::new("p", &["r"], pool),
            LayerSpec::new("f", &["p"], Op::Flatten),
            LayerSpec::new("l", &["f"], Op::Linear { out: 10, bias: true, init: Init::FanIn }),
        ];
        let input = Value { name: INPUT.into(), shape: vec![3, 16, 16] };
        let network = Network { input, layers, blocks: vec![0] };
        let probes = Probe::of(&network).unwrap();
        let found: Vec<_> = probes.iter().map(|probe| (probe.kind, probe.shape.clone())).collect();
        let due = [
            ("conv2d", vec![8, 16, 16]),
            ("linear", vec![256]),
            ("max_pool", vec![16, 8, 8]),
            ("relu", vec![16, 8, 8]),
        ];
        assert_eq!(found, due);
        assert!(probes.iter().all(|probe| (2..=32).contains(&probe.samples)));
    }

    #[test]
    fn a_rate_counts_every_pass() {
        let probe = Probe { samples: 4, ..Probe::message(1000) };
        let mut node = NodeFigures {
            address: "a:1".into(),
            device: "cpu".into(),
            threads: 1,
            macs_per_second: BTreeMap::new(),
            bytes_per_second: BTreeMap::new(),
        };
        probe.note(&mut node, Precision::F32, 2.0);
        // F and E each read and write 1,000 numbers of 4 samples, 4 bytes each.
        assert_eq!(node.bytes_per_second["relu"], 32_000.0);
        let op = Op::Linear { out: 10, bias: false, init: Init::FanIn };
        let linear = Probe { kind: "linear", op, shape: vec![10], samples: 4 };
        linear.note(&mut node, Precision::F32, 1.0);
        assert_eq!(node.macs_per_second["linear"], 1200.0);
    }
}
