//! Kolen-Pollack's law as an alarm: W and B take the same gradients and decay alike, so their difference
//! c = W − B follows a recursion that no datum enters. An update that was lost or doubled breaks it.
//!
//! ```text
//! bufₜ = m·bufₜ₋₁ + λ·cₜ₋₁        cₜ = cₜ₋₁ − ηₜ·bufₜ        (Nesterov: − ηₜ·(λ·cₜ₋₁ + m·bufₜ))
//! ```
//!
//! The recursion is linear and the same for every element, so ‖cₜ‖ = |aₜ|·‖c₀‖ with a₀ = 1.

use crate::run_error::{Cause, RunError};
use proto::control::LayerMeasure;
use proto::spec::optimizer::{Method, OptimizerSpec};
use std::collections::BTreeMap;

/// How far ‖W − B‖ may be from the law, relatively: some times what f32 rounding does to it.
const TOLERANCE: f64 = 1e-4;
/// Placement the law has shrunk the difference below this share, rounding is all that is left of it.
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

/// Watches every layer under Kolen-Pollack.
#[derive(Clone, Debug)]
pub struct Alarm {
    law: Law,
    layers: Vec<String>,
    /// ‖c₀‖ of each layer, out of its first measurement.
    begun: BTreeMap<String, f64>,
}

impl Alarm {
    /// An alarm for `layers`, whose W steps by `optimizer`.
    pub fn new(optimizer: OptimizerSpec, layers: Vec<String>) -> Self {
        Self { law: Law::new(optimizer), layers, begun: BTreeMap::new() }
    }

    /// Looks at the measurements after `step`; steps come in ascending order.
    ///
    /// # Errors
    /// A [`Cause::Violation`] that names the layer and the step.
    pub fn check(&mut self, step: u64, measures: &[LayerMeasure]) -> Result<(), RunError> {
        let law = self.law.at(step).abs();
        for measure in measures.iter().filter(|measure| self.layers.contains(&measure.name)) {
            let begun = *self.begun.entry(measure.name.clone()).or_insert(measure.difference / law);
            let off = (measure.difference / (begun * law) - 1.0).abs();
            if law > SHARE && (off.is_nan() || off > TOLERANCE) {
                return Err(RunError::new(
                    Cause::Violation,
                    format!(
                        "Kolen-Pollack's law is broken in layer '{}' after step {step}: ‖W − B‖ is {:.6}, the law says {:.6}; an update was lost or doubled: go back to a snapshot before it with --resume STEP",
                        measure.name,
                        measure.difference,
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

    fn first_alarm(optimizer: &OptimizerSpec, differences: &[f64]) -> Option<u64> {
        let mut alarm = Alarm::new(optimizer.clone(), vec!["layer".into()]);
        let measure = |&difference: &f64| {
            let name = "layer".to_owned();
            vec![LayerMeasure { name, angle_deg: 0.0, norm_ratio: 1.0, norm: 1.0, difference }]
        };
        let mut steps = differences.iter().map(measure).enumerate();
        steps.find(|(at, measures)| alarm.check(*at as u64 + 1, measures).is_err()).map(|(at, _)| at as u64)
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
                assert_eq!(first_alarm(&optimizer, &differences(&optimizer, 60, None)), None);
                assert_eq!(first_alarm(&optimizer, &differences(&optimizer, 60, Some(20))), Some(20));
            }
        }
        let mut alarm = Alarm::new(OptimizerSpec::sgd(0.1), vec!["layer".into()]);
        let nan = LayerMeasure {
            name: "layer".into(),
            angle_deg: 0.0,
            norm_ratio: 1.0,
            norm: 1.0,
            difference: f64::NAN,
        };
        assert!(alarm.check(1, &[nan]).is_err());
    }
}
