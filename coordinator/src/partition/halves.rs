//! The costs of stages whose W and B are on two hosts: the times of each layer are divided between the hosts, and bytes
//! cross between them.

use std::ops::Range;

use super::memory::{Memory, backward, backward_bytes, forward_bytes};
use super::{Estimator, LayerTime, Rates, Workload};
use crate::model::profile::{LayerProfile, Split};
use crate::pipeline::Held;
use crate::pipeline::timing::{BackwardCost, SplitCost};

/// The times of a layer on the host of W, and on the host of B. A layer that is not split takes time on the first
/// alone.
///
/// E is on the host of B. G is divided by the passes over W's shape that each host computes; under Kolen-Pollack both
/// hosts compute a pass that a single host computes once. U is divided in proportion to the assumed rates.
pub(super) fn divided(time: LayerTime, layer: &LayerProfile, workload: &Workload) -> [LayerTime; 2] {
    let Some(split) = &layer.split else { return [time, LayerTime::default()] };
    let Rates { macs_per_second, bytes_per_second, .. } = workload.rates;
    let whole = (layer.macs * layer.gradient_passes + layer.gradient_macs).max(1);
    let part = |macs: u64| time.gradient * macs as f64 / whole as f64;
    let passes = |passes: u64| part(layer.macs * passes);
    let update = |bytes: u64, macs: u64| bytes as f64 / bytes_per_second + macs as f64 / macs_per_second;
    let shown = split.shown_mirror_macs.min(layer.mirror_macs);
    let of_w = update(forward_bytes(layer, workload), shown);
    let of_b = update(backward_bytes(layer, workload), layer.mirror_macs - shown);
    let share = |of: f64| if of_w + of_b > 0.0 { time.update * of / (of_w + of_b) } else { 0.0 };
    [
        LayerTime {
            forward: time.forward + passes(split.shown_passes),
            error: 0.0,
            gradient: passes(1),
            update: share(of_w),
        },
        LayerTime {
            forward: 0.0,
            error: time.error,
            gradient: part(layer.macs * split.gradient_passes + layer.gradient_macs),
            update: share(of_b),
        },
    ]
}

impl Estimator {
    /// The indices of the split layers of a stage, and the values that cross between their hosts.
    fn split(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = (usize, &Split)> {
        let layers = self.profile().layers();
        range.filter_map(|at| Some((at, layers[at].split.as_ref()?)))
    }

    /// Bytes of one sample that the stage sends to the backward node of split layer `at`, and gets back. Noise does not
    /// depend on the sample.
    pub(super) fn split_bytes(&self, at: usize) -> [u64; 2] {
        let split = self.profile().layers()[at].split.unwrap_or_default();
        [split.sample + split.error, split.returned].map(|numbers| self.wired(numbers))
    }

    /// Bytes between the halves of a stage in a step of N samples: to the backward node, and back.
    pub fn exchanged(&self, range: Range<usize>) -> [u64; 2] {
        let samples = u64::from(self.workload().step_samples());
        let noise: u64 =
            self.split(range.clone()).map(|(_, split)| self.wired(split.noise_per_update())).sum();
        let [there, back] =
            range.map(|at| self.split_bytes(at)).fold([0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        [samples * there + noise, samples * back]
    }

    /// Multiply-adds of a stage's backward node for one sample, in E and G.
    pub fn backward_macs(&self, range: Range<usize>) -> u64 {
        let layers = self.profile().layers();
        let macs = |(at, split): (usize, &Split)| {
            let layer: &LayerProfile = &layers[at];
            layer.macs * (layer.error_passes + split.gradient_passes) + layer.error_macs + layer.gradient_macs
        };
        self.split(range).map(macs).sum()
    }

    /// The predicted memory of a stage's backward node, whose lane holds `held`; `None` for a stage without
    /// one.
    pub fn backward_memory(&self, range: Range<usize>, held: &Held) -> Option<Memory> {
        self.split(range.clone()).next()?;
        Some(backward(self.profile().layers()[range].iter(), held, self.workload()))
    }

    /// The costs of a stage's backward node, in the form of `pipeline::timing`; `None` for a stage without one.
    pub fn backward(&self, range: Range<usize>) -> Option<BackwardCost> {
        let workload = self.workload();
        let (size, link) = (workload.microbatch(), workload.rates.link);
        let mut after = self.errors_between(range.clone()).into_iter().skip(1);
        let message = |numbers: u64| (numbers > 0).then(|| link.seconds(self.wired(numbers)));
        let cost = |(at, split): (usize, &Split)| SplitCost {
            sample: message(size * split.sample),
            request: message(size * split.error),
            error: size as f64 * self.halves(at)[1].error,
            reply: message(size * split.returned),
            after: after.next().unwrap_or(0.0),
            noise: message(split.noise_per_update()),
        };
        let mut layers: Vec<SplitCost> = self.split(range.clone()).rev().map(cost).collect();
        layers.reverse();
        let sum =
            |part: fn(&LayerTime) -> f64| range.clone().map(|at| part(&self.halves(at)[1])).sum::<f64>();
        (!layers.is_empty()).then(|| BackwardCost {
            layers,
            gradient: size as f64 * sum(|time| time.gradient),
            update: sum(|time| time.update),
            recompute: workload.recompute,
            latency: workload.rates.latency,
            window: Some(link.window()),
        })
    }

    /// Seconds of E of one microbatch on the stage's own host: down to its highest split layer, from there to the next
    /// one, and so on.
    pub(super) fn errors_between(&self, range: Range<usize>) -> Vec<f64> {
        let size = self.workload().microbatch() as f64;
        let (mut parts, mut seconds) = (Vec::new(), 0.0);
        for at in range.rev() {
            match &self.profile().layers()[at].split {
                Some(_) => parts.push(std::mem::take(&mut seconds)),
                None => seconds += size * self.halves(at)[0].error,
            }
        }
        parts.push(seconds);
        parts
    }

    /// Bytes of so many numbers on the wire. In 8 bits they count as one value: a message of several values has a few
    /// scales more.
    fn wired(&self, numbers: u64) -> u64 {
        self.workload().wire.bytes(numbers)
    }
}
