//! The memory of a node: the needs of a stage, summed over its layers.
//!
//! ```text
//! process     code, libtorch's libraries, threads
//! weights     W, biases and norms: values, optimizer state, gradients; the same of B, if it is not W and is on this host;
//!             under bf16 the copies of W and B
//! activations the values that F keeps of each microbatch before its E, those that wait for G of each one after it, and of
//!             the microbatch at work the larger of both
//! workspace   values that end with their F, the largest layer's scratch, one more gradient, a mirror step, the residuals
//!             of error feedback
//! queues      2 microbatches in each direction on each side, and to and from the other half of a stage
//! kept        blocks that are free again, and stay with the process: see [`KEPT_OF_VALUES`]
//! ```
//!
//! A backward node has the same parts: B's weights, the samples that wait for their G, and the messages to and from its
//! stage.

use proto::link::QUEUE;
use serde::Serialize;

use super::Workload;
use crate::model::profile::{FLOAT, LayerProfile, Profile, Split};
use crate::pipeline::Held;

/// Tensors of f32 that error feedback needs at once: the residuals, the corrected errors, the latter in whole blocks, and
/// three with which their rounding is computed.
const FEEDBACK: u64 = 6;

/// Bytes of a node without a stage: its code, libtorch's code, its threads and their buffers.
///
/// This number and the two shares below were measured by `plan --measure --local` on ResNet-18 at 32 pixels, batch
/// 64 in 4 microbatches, cut into 5 stages and into its 10 blocks (x86-64, one thread): peaks were .9 to 1.1 times
/// the prediction.
pub const PROCESS_BYTES: u64 = 120 << 20;
/// The freed activations, workspace and messages that malloc keeps, in percent of those in use: sizes differ from
/// layer to layer, and blocks are not given back to the system.
const KEPT_OF_VALUES: u64 = 100;
/// The same share for weights, which are allocated once.
const KEPT_OF_WEIGHTS: u64 = 25;

/// The predicted peak of one node, in bytes, by its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The bytes of [`PROCESS_BYTES`].
    pub process: u64,
    /// Values, optimizer state and gradients of W, B, biases and norms.
    pub weights: u64,
    /// The activations of the microbatches under way.
    pub activations: u64,
    /// Memory that is in use only during a computation.
    pub workspace: u64,
    /// Messages that are received and not yet taken, or computed and not yet sent.
    pub queues: u64,
    /// Blocks that are free again and stay with the process.
    pub kept: u64,
}

impl Memory {
    fn of(weights: u64, activations: u64, workspace: u64, queues: u64) -> Self {
        let values = activations + workspace + queues;
        let kept = (values * KEPT_OF_VALUES + weights * KEPT_OF_WEIGHTS) / 100;
        Self { process: PROCESS_BYTES, weights, activations, workspace, queues, kept }
    }

    /// Bytes of the whole process.
    pub fn total(&self) -> u64 {
        self.process + self.weights + self.activations + self.workspace + self.queues + self.kept
    }
}

/// The sums over a stage's layers while the stage grows downwards from `end`; per sample, except for weights and
/// mirror steps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stock {
    weights: u64,
    kept: u64,
    waiting: u64,
    passing: u64,
    scratch: u64,
    gradient: u64,
    mirror: u64,
    halves: Between,
}

/// The largest messages between the halves of a stage: numbers per sample there and back, and numbers of noise.
#[derive(Clone, Copy, Debug, Default)]
struct Between {
    there: u64,
    back: u64,
    noise: u64,
}

impl Between {
    fn add(&mut self, split: &Split) {
        self.there = self.there.max(split.sample).max(split.error);
        self.back = self.back.max(split.returned);
        self.noise = self.noise.max(split.noise);
    }

    /// Bytes of the queues of both directions at either half.
    fn queues(&self, workload: &Workload) -> u64 {
        let size = workload.microbatch();
        let numbers = (size * self.there).max(self.noise) + size * self.back;
        QUEUE as u64 * workload.wire.bytes(numbers)
    }
}

impl Stock {
    /// Adds the layer below all others of a stage that ends before layer `end`.
    pub(super) fn add_below(&mut self, layer: &LayerProfile, end: usize, workload: &Workload) {
        self.weights += state_bytes(layer, workload);
        let new = layer.kept.iter().filter(|kept| kept.again.is_none_or(|layer| layer >= end));
        self.kept += new.map(|kept| kept.bytes).sum::<u64>();
        self.waiting += layer.waiting;
        self.passing += layer.passing;
        self.scratch = self.scratch.max(scratch(layer, workload));
        let trained = layer.weights.max(layer.backward * u64::from(layer.backward_learns));
        self.gradient = self.gradient.max(trained * (FLOAT + workload.copied_weight()));
        self.mirror = self.mirror.max(layer.mirror);
        layer.split.iter().for_each(|split| self.halves.add(split));
    }

    /// The memory of the stage `start..end` whose lane holds `held`.
    pub(super) fn memory(
        &self,
        start: usize,
        end: usize,
        held: &Held,
        at: &Profile,
        workload: &Workload,
    ) -> Memory {
        let (size, whole) = (workload.microbatch(), self.kept.max(self.waiting));
        let activations = if workload.recompute {
            let inputs = at.bytes(start, |numbers| numbers * workload.number())[0];
            held.bytes(inputs + whole, inputs, self.waiting)
        } else {
            held.bytes(whole, self.kept, self.waiting)
        };
        let crossing = |cut| at.wired(cut, workload.wire).iter().sum::<u64>();
        let residuals = if workload.error_feedback { FEEDBACK * size * at.errors(start) * FLOAT } else { 0 };
        let activations = size * activations;
        let workspace = size * (self.passing + self.scratch) + self.gradient + self.mirror + residuals;
        let ring = size * QUEUE as u64 * (crossing(start) + crossing(end));
        Memory::of(self.weights, activations, workspace, ring + self.halves.queues(workload))
    }
}

/// The memory of the backward node of a stage with these layers, whose lane holds `held`.
pub(super) fn backward<'l>(
    layers: impl Iterator<Item = &'l LayerProfile>,
    held: &Held,
    workload: &Workload,
) -> Memory {
    let mut halves = Between::default();
    let [mut weights, mut samples, mut errors, mut scratch, mut gradient, mut mirror] = [0; 6];
    for (layer, split) in layers.filter_map(|layer| Some((layer, layer.split.as_ref()?))) {
        weights += backward_bytes(layer, workload);
        samples += split.sample;
        errors += split.kept_error;
        scratch = scratch.max(layer.inputs + layer.output + layer.middle);
        gradient = gradient.max(layer.backward * u64::from(layer.backward_learns));
        mirror = mirror.max(layer.mirror);
        halves.add(split);
    }
    // Recomputed samples come in E.
    let before_error = if workload.recompute { 0 } else { samples };
    let kept = held.bytes(samples + errors, before_error, samples + errors);
    let size = workload.microbatch() * workload.number();
    let gradient = gradient * (FLOAT + workload.copied_weight());
    Memory::of(weights, size * kept, size * scratch + gradient + mirror, halves.queues(workload))
}

/// Bytes per sample of the largest values that an action of a layer computes on the way. A comparison of signals adds the
/// output through B to that through W, or the error by W to that by B.
fn scratch(layer: &LayerProfile, workload: &Workload) -> u64 {
    let LayerProfile { inputs, output, middle, backward, split, .. } = layer;
    let compares = workload.signals && *backward > 0 && split.is_none();
    let compared = if compares { *inputs.max(output) } else { 0 };
    (inputs + output + middle + compared) * workload.number()
}

/// Bytes of a layer's parameters with optimizer state and gradients, as far as they are on the stage's own host.
pub(super) fn state_bytes(layer: &LayerProfile, workload: &Workload) -> u64 {
    let backward = if layer.split.is_some() { 0 } else { backward_bytes(layer, workload) };
    forward_bytes(layer, workload) + backward
}

/// Bytes of W, bias and norm, with optimizer state and gradients. Running statistics are too few to count.
pub(super) fn forward_bytes(layer: &LayerProfile, workload: &Workload) -> u64 {
    let trained = layer.parameters * (2 + workload.optimizer.slots().len() as u64) * FLOAT;
    trained + layer.weights * workload.copied_weight()
}

/// Bytes of B, or of R and the fixed B, with optimizer state and gradients.
pub(super) fn backward_bytes(layer: &LayerProfile, workload: &Workload) -> u64 {
    let learns = u64::from(layer.backward_learns);
    let trained = layer.backward * (1 + learns + workload.optimizer_backward.slots().len() as u64) * FLOAT;
    trained + layer.fixed * FLOAT + (layer.backward + layer.fixed) * workload.copied_weight()
}
