//! Kolen-Pollack's law, checked in every step: W and B take the same gradients and decay alike, so their difference
//! c = W − B follows a recursion that no datum enters. An update that was lost or doubled breaks it.
//!
//! ```text
//! bufₜ = m·bufₜ₋₁ + λ·cₜ₋₁        cₜ = cₜ₋₁ − ηₜ·bufₜ        (Nesterov: − ηₜ·(λ·cₜ₋₁ + m·bufₜ))
//! ```
//!
//! The recursion is linear and the same for every element, so ‖cₜ‖ = |aₜ|·‖c₀‖ with a₀ = 1.

use super::step::LayerTrace;
use crate::config::Config;
use crate::model::Network;
use crate::rule::Name;
use crate::run_error::{Cause, RunError};
use proto::spec::optimizer::{Method, OptimizerSpec};
use std::collections::BTreeMap;

/// The relative tolerance of ‖W − B‖ against the law: some times the rounding of f32.
const TOLERANCE: f64 = 1e-4;
/// The share below which the law is not checked: rounding is all that is left of the difference.
const SHARE: f64 = 0.01;

/// The factor aₜ, step by step.
#[derive(Clone, Debug)]
struct Law {
    optimizer: OptimizerSpec,
    step: u64,
    difference: f64,
    buffer: f64,
}

impl Law {
    fn new(optimizer: OptimizerSpec) -> Self {
        Self { optimizer, step: 0, difference: 1.0, buffer: 0.0 }
    }

    /// aₜ for t = `step`, which never goes back.
    fn at(&mut self, step: u64) -> f64 {
        let (momentum, nesterov) = match self.optimizer.method {
            Method::Sgd { momentum, nesterov } => (momentum, nesterov),
            Method::Adam { .. } => (0.0, false),
        };
        let decay = self.optimizer.weight_decay;
        while self.step < step {
            let gradient = decay * self.difference;
            self.buffer = momentum * self.buffer + gradient;
            let direction = if nesterov { gradient + momentum * self.buffer } else { self.buffer };
            self.difference -= self.optimizer.lr * self.optimizer.schedule.factor(self.step) * direction;
            self.step += 1;
        }
        self.difference
    }
}

/// The law of every layer under Kolen-Pollack.
#[derive(Clone, Debug)]
pub struct Invariant {
    law: Law,
    layers: Vec<String>,
    /// ‖c₀‖ of each layer, from its first measurement.
    begun: BTreeMap<String, f64>,
}

impl Invariant {
    /// The law of `network`'s layers, where `config` asks for it; `minibatches` are those of an epoch and of the run.
    pub fn of(config: &Config, network: &Network, minibatches: [u64; 2]) -> Option<Self> {
        let layers = network.layers.iter();
        let layers = layers.filter(|layer| layer.op.is_weight() && Name::KolenPollack.is(&layer.rule));
        let layers = layers.map(|layer| layer.name.clone()).collect();
        let [per_epoch, total] = minibatches;
        config.alarm.kolen_pollack.then(|| Self::new(config.optimizer.spec(per_epoch, total), layers))
    }

    fn new(optimizer: OptimizerSpec, layers: Vec<String>) -> Self {
        Self { law: Law::new(optimizer), layers, begun: BTreeMap::new() }
    }

    /// Checks the measurements after `step`; steps come in ascending order.
    ///
    /// # Errors
    /// A [`Cause::Violation`] that names the layer and the step.
    pub fn check(&mut self, step: u64, layers: &[LayerTrace]) -> Result<(), RunError> {
        let law = self.law.at(step).abs();
        for layer in layers.iter().filter(|layer| self.layers.contains(&layer.name)) {
            let difference = layer.difference.unwrap_or(f64::NAN);
            let begun = *self.begun.entry(layer.name.clone()).or_insert(difference / law);
            let off = (difference / (begun * law) - 1.0).abs();
            if law > SHARE && (off.is_nan() || off > TOLERANCE) {
                return Err(RunError::new(
                    Cause::Violation,
                    format!(
                        "Kolen-Pollack's law is broken in layer '{}' after step {step}: ‖W − B‖ is {difference:.6}, the law says {:.6}; an update was lost or doubled: go back to a snapshot before it with --resume STEP",
                        layer.name,
                        begun * law
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::spec::optimizer::{Schedule, Shape};

    /// ‖W − B‖ of one weight under the recursion, done twice over: on W and on B.
    fn differences(optimizer: &OptimizerSpec, steps: u64, lost: Option<u64>) -> Vec<f64> {
        let Method::Sgd { momentum, nesterov } = optimizer.method else { unreachable!() };
        let (mut weights, mut buffers) = ([3.0, -1.0], [0.0, 0.0]);
        let mut seen = Vec::new();
        for step in 0..steps {
            let task = (step as f64 * 1.7).sin();
            for side in 0..2 {
                if side == 1 && lost == Some(step) {
                    continue;
                }
                let gradient = task + optimizer.weight_decay * weights[side];
                buffers[side] = momentum * buffers[side] + gradient;
                let direction = if nesterov { gradient + momentum * buffers[side] } else { buffers[side] };
                weights[side] -= optimizer.lr * optimizer.schedule.factor(step) * direction;
            }
            seen.push(f64::abs(weights[0] - weights[1]));
        }
        seen
    }

    fn layer(difference: f64) -> [LayerTrace; 1] {
        let (name, one) = ("layer".to_owned(), Some(1.0));
        [LayerTrace { name, angle_deg: one, norm_ratio: one, norm: one, difference: Some(difference) }]
    }

    fn first_violation(optimizer: &OptimizerSpec, differences: &[f64]) -> Option<u64> {
        let mut law = Invariant::new(optimizer.clone(), vec!["layer".into()]);
        let mut steps = (0..).zip(differences);
        steps.find(|(at, found)| law.check(at + 1, &layer(**found)).is_err()).map(|(at, _)| at)
    }

    #[test]
    fn the_law_holds_under_momentum_and_schedules_and_a_lost_update_breaks_it() {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            for shape in [Shape::Constant, Shape::Cosine { total: 60 }] {
                let optimizer = OptimizerSpec {
                    method: Method::Sgd { momentum, nesterov },
                    lr: 0.1,
                    weight_decay: 0.05,
                    schedule: Schedule { warmup: 5, shape },
                };
                assert_eq!(first_violation(&optimizer, &differences(&optimizer, 60, None)), None);
                assert_eq!(first_violation(&optimizer, &differences(&optimizer, 60, Some(20))), Some(20));
            }
        }
        let mut law = Invariant::new(OptimizerSpec::sgd(0.1), vec!["layer".into()]);
        assert!(law.check(1, &layer(f64::NAN)).is_err());
    }
}
