//! The estimator: the cost of a stage, in seconds by measured or assumed times of layers, in bytes over its cuts,
//! and in memory.

use std::ops::Range;

use proto::spec::graph::{LayerSpec, Op};
use serde::Serialize;

use super::halves::divided;
use super::memory::{Memory, Stock, backward_bytes, forward_bytes};
use super::{PartitionError, Rates, Workload};
use crate::model::Network;
use crate::model::profile::{LayerProfile, Profile};
use crate::pipeline::Held;
use crate::pipeline::timing::{LinkCost, StageCost};

/// The times of one layer, in seconds: per sample, and `update` per step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LayerTime {
    /// F of one sample.
    pub forward: f64,
    /// E of one sample.
    pub error: f64,
    /// G of one sample.
    pub gradient: f64,
    /// U, once per step.
    pub update: f64,
}

/// The cost of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageEstimate {
    /// Seconds per sample: F, E, G, the stage's share of U, and its messages at the link's rate. A balance makes
    /// these seconds as equal as possible.
    pub seconds: f64,
    /// The node's predicted peak.
    pub memory: Memory,
}

/// Estimates the stages of one network under one workload.
#[derive(Clone, Debug)]
pub struct Estimator {
    profile: Profile,
    /// The times of whole layers, also of those whose W and B are on two hosts.
    times: Vec<LayerTime>,
    measured: bool,
    workload: Workload,
}

impl Estimator {
    /// An estimator with the workload's assumed rates.
    ///
    /// # Errors
    /// A network whose layers don't fit together, or a minibatch that cannot be cut into the workload's
    /// microbatches.
    pub fn new(network: &Network, workload: Workload) -> Result<Self, PartitionError> {
        workload.check()?;
        let profile = Profile::new(network, workload.precision)?;
        let times = profile.layers().iter().map(|layer| assumed(layer, &workload)).collect();
        Ok(Self { profile, times, measured: false, workload })
    }

    /// The same estimator with measured times, one per layer of the network.
    ///
    /// # Errors
    /// A number of times that is not the number of layers.
    pub fn measured(self, times: Vec<LayerTime>) -> Result<Self, PartitionError> {
        let layers = self.profile.layers().len();
        if times.len() != layers {
            return Err(PartitionError::Times { times: times.len(), layers });
        }
        Ok(Self { times, measured: true, ..self })
    }

    /// The same estimator, for layers with rates of their own: `of` says those of each layer.
    #[must_use]
    pub fn with_rates(self, network: &Network, of: impl Fn(&Op) -> Rates) -> Self {
        let time = |(layer, profile): (&LayerSpec, &LayerProfile)| {
            assumed(profile, &Workload { rates: of(&layer.op), ..self.workload.clone() })
        };
        let times = network.layers.iter().zip(self.profile.layers()).map(time).collect();
        Self { times, ..self }
    }

    /// Times of every layer from the times of groups of layers, which follow one another without gaps. A group's
    /// time is divided in proportion to the current times of its layers.
    pub fn share_out(&self, groups: &[(Range<usize>, LayerTime)]) -> Vec<LayerTime> {
        let shares = |(range, whole): &(Range<usize>, LayerTime)| {
            let parts = &self.times[range.clone()];
            let share = |whole: f64, part: fn(&LayerTime) -> f64| {
                let sum = parts.iter().map(part).sum::<f64>();
                let even = 1.0 / parts.len() as f64;
                move |layer: &LayerTime| whole * if sum > 0.0 { part(layer) / sum } else { even }
            };
            let forward = share(whole.forward, |t| t.forward);
            let error = share(whole.error, |t| t.error);
            let gradient = share(whole.gradient, |t| t.gradient);
            let update = share(whole.update, |t| t.update);
            let layer = |t: &LayerTime| LayerTime {
                forward: forward(t),
                error: error(t),
                gradient: gradient(t),
                update: update(t),
            };
            parts.iter().map(layer).collect::<Vec<_>>()
        };
        groups.iter().flat_map(shares).collect()
    }

    /// Whether the layers' times were measured.
    pub fn is_measured(&self) -> bool {
        self.measured
    }

    /// The profile of the network's layers.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The workload behind the estimates.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Bytes of one sample over the cut before layer `at`: activations upwards, errors downwards.
    pub fn bytes(&self, at: usize) -> [u64; 2] {
        self.profile.wired(at, self.workload.wire)
    }

    /// The cost of the stage of layers `range` whose lane holds `held`.
    pub fn stage(&self, range: Range<usize>, held: &Held) -> StageEstimate {
        self.ending_at(range.end, held)[range.start]
    }

    /// The costs of the stages `0..end`, `1..end`, … that end before layer `end` and whose lane
    /// holds `held`.
    pub fn ending_at(&self, end: usize, held: &Held) -> Vec<StageEstimate> {
        let mut stock = Stock::default();
        let mut seconds = 0.0;
        let link = self.workload.rates.link;
        let down_from = |start: usize| {
            stock.add_below(&self.profile.layers()[start], end, &self.workload);
            seconds += self.per_sample(start) + link.seconds(self.split_bytes(start)[0]);
            let sent = link.seconds(self.bytes(end)[0] + self.bytes(start)[1]);
            let memory = stock.memory(start, end, held, &self.profile, &self.workload);
            StageEstimate { seconds: seconds + sent, memory }
        };
        let mut row: Vec<_> = (0..end).rev().map(down_from).collect();
        row.reverse();
        row
    }

    fn per_sample(&self, layer: usize) -> f64 {
        let LayerTime { forward, error, gradient, update } = self.halves(layer)[0];
        let again = if self.workload.recompute { forward } else { 0.0 };
        forward + again + error + gradient + update / f64::from(self.workload.step_samples())
    }

    /// The times of a layer on the stage's own host, and on its backward node.
    pub(super) fn halves(&self, layer: usize) -> [LayerTime; 2] {
        divided(self.times[layer], &self.profile.layers()[layer], &self.workload)
    }

    /// The costs of the stage's actions, in the form of `pipeline::timing`.
    pub fn actions(&self, range: Range<usize>) -> StageCost {
        let size = self.workload.microbatch() as f64;
        let sum =
            |part: fn(&LayerTime) -> f64| range.clone().map(|at| part(&self.halves(at)[0])).sum::<f64>();
        let forward = size * sum(|t| t.forward);
        let again = if self.workload.recompute { forward } else { 0.0 };
        let error = self.errors_between(range.clone())[0];
        let (follow, followers) = self.follow(range.clone());
        let [gradient, update] = [size * sum(|t| t.gradient), sum(|t| t.update) - follow];
        StageCost { forward, error: again + error, gradient, update: update.max(0.0), follow, followers }
    }

    /// Seconds of B's part of U, and the layers that have such a part: none where the stage has a backward node. A layer's
    /// U is divided in proportion to the assumed rates.
    fn follow(&self, range: Range<usize>) -> (f64, u32) {
        let layers = &self.profile.layers()[range.clone()];
        if layers.iter().any(|layer| layer.split.is_some()) {
            return (0.0, 0);
        }
        let with_b = range.filter(|&at| self.profile.layers()[at].backward > 0);
        with_b.fold((0.0, 0), |(seconds, count), at| {
            let [of_w, of_b] = updates(&self.profile.layers()[at], &self.workload);
            let share = if of_w + of_b > 0.0 { of_b / (of_w + of_b) } else { 0.0 };
            (seconds + self.times[at].update * share, count + 1)
        })
    }

    /// The cost of the link at the cut before layer `at`, in the form of `pipeline::timing`.
    pub fn link(&self, at: usize) -> LinkCost {
        let rates = &self.workload.rates;
        let [forward, error] =
            self.bytes(at).map(|bytes| rates.link.seconds(bytes * self.workload.microbatch()));
        LinkCost { forward, error, latency: rates.latency, window: Some(rates.link.window()) }
    }
}

/// A layer's times by the rates: by multiply-adds for weight layers, by the bytes read and written for all others.
fn assumed(layer: &LayerProfile, workload: &Workload) -> LayerTime {
    let Rates { macs_per_second, bytes_per_second, .. } = workload.rates;
    let pass = layer.macs as f64 / macs_per_second;
    let touch = (layer.touched * workload.number()) as f64 / bytes_per_second;
    LayerTime {
        forward: pass + touch,
        error: layer.error_passes as f64 * (pass + touch) + layer.error_macs as f64 / macs_per_second,
        gradient: layer.gradient_passes as f64 * pass + layer.gradient_macs as f64 / macs_per_second,
        update: updates(layer, workload).iter().sum(),
    }
}

/// The seconds of W's part of U by the rates, and those of B's part with its mirror steps.
fn updates(layer: &LayerProfile, workload: &Workload) -> [f64; 2] {
    let Rates { macs_per_second, bytes_per_second, .. } = workload.rates;
    let of_b = backward_bytes(layer, workload) as f64 / bytes_per_second;
    let of_w = forward_bytes(layer, workload) as f64 / bytes_per_second;
    [of_w, of_b + layer.mirror_macs as f64 / macs_per_second]
}
