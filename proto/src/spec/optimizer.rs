//! Optimizers of weights, and their learning rates and decays as functions of the update count.

use crate::error::ProtocolError;
use serde::{Deserialize, Serialize};

/// The most boundaries that a schedule in steps may have.
pub const MAX_BOUNDARIES: usize = 64;

/// The method that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// buf = momentum · buf + g; p −= lr · buf, or lr · (g + momentum · buf) with Nesterov.
    Sgd {
        /// The weight of the past in the buffer.
        momentum: f64,
        /// Whether the step looks one step ahead (Nesterov).
        nesterov: bool,
    },
    /// Kingma & Ba 2015, with bias correction; weight decay is added to the gradient.
    Adam {
        /// The weight of the past in the gradient's mean.
        beta1: f64,
        /// The weight of the past in the squared gradient's mean.
        beta2: f64,
        /// The number that is added to the root.
        eps: f64,
    },
}

impl Method {
    /// The weight of the past in the buffer of SGD; 0 for Adam.
    pub fn momentum(&self) -> f64 {
        match self {
            Method::Sgd { momentum, .. } => *momentum,
            Method::Adam { .. } => 0.0,
        }
    }

    /// The names of the tensors that the optimizer keeps for each trained tensor between steps. Each has the trained
    /// tensor's shape.
    pub fn slots(&self) -> &'static [&'static str] {
        match self {
            Method::Sgd { momentum: 0.0, .. } => &[],
            Method::Sgd { .. } => &["momentum"],
            Method::Adam { .. } => &["mean", "square"],
        }
    }
}

/// One optimizer: a stage has one for W (with biases and norms) and one for B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSpec {
    /// The method that turns a gradient into a step.
    pub method: Method,
    /// The learning rate at factor 1.
    pub lr: f64,
    /// λ: λ · p is added to the gradient of conv and linear matrices, never of biases and norms.
    pub weight_decay: f64,
    /// The largest norm of one tensor's gradient, before the decay is added: a larger gradient is shortened to it. 0
    /// for no limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clip: f64,
    /// The factor on `lr`.
    pub schedule: Schedule,
    /// The factor on `weight_decay`.
    #[serde(default, skip_serializing_if = "Schedule::is_one")]
    pub weight_decay_schedule: Schedule,
    /// D: the delay of gradients, in updates, that a step with momentum makes up for at once; 0 for none
    /// ([`OptimizerSpec::direction`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay: f64,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// The factor on a learning rate, a weight decay or the coefficients of a rule over a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Updates over which the factor rises linearly to 1, on top of the shape; 0 for none.
    pub warmup: u64,
    /// The factor's shape after warm-up.
    pub shape: Shape,
}

/// The factor after warm-up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// 1 throughout.
    #[default]
    Constant,
    /// (1 + cos(π t / total)) / 2, then 0.
    Cosine {
        /// Updates until the factor is 0.
        total: u64,
    },
    /// `factor` once for every boundary that has been reached.
    Step {
        /// Update counts, ascending.
        boundaries: Vec<u64>,
        /// The factor of each boundary.
        factor: f64,
    },
}

impl Schedule {
    /// Whether the factor is 1 throughout.
    pub fn is_one(&self) -> bool {
        *self == Self::default()
    }

    /// The factor of the step that follows `updates` finished ones.
    pub fn factor(&self, updates: u64) -> f64 {
        let shape = match &self.shape {
            Shape::Constant => 1.0,
            Shape::Cosine { total } => {
                let progress = updates.min(*total) as f64 / (*total).max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Shape::Step { boundaries, factor } => {
                let reached = boundaries.iter().filter(|boundary| **boundary <= updates).count();
                factor.powi(i32::try_from(reached).unwrap_or(i32::MAX))
            }
        };
        let warm = if updates < self.warmup { (updates + 1) as f64 / self.warmup as f64 } else { 1.0 };
        warm * shape
    }

    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        let Shape::Step { boundaries, factor } = &self.shape else { return Ok(self) };
        let (steps, ascend) = (boundaries.len(), boundaries.is_sorted());
        if steps <= MAX_BOUNDARIES && ascend && factor.is_finite() && *factor >= 0.0 {
            return Ok(self);
        }
        Err(ProtocolError::invalid(format!(
            "a schedule cannot multiply by {factor} at {steps} boundaries: at most {MAX_BOUNDARIES}, ascending"
        )))
    }
}

impl OptimizerSpec {
    /// Plain SGD at a constant learning rate, without weight decay and without a limit on gradients.
    pub fn sgd(lr: f64) -> Self {
        let method = Method::Sgd { momentum: 0.0, nesterov: false };
        let [schedule, weight_decay_schedule] = [Schedule::default(), Schedule::default()];
        Self { method, lr, weight_decay: 0.0, clip: 0.0, delay: 0.0, schedule, weight_decay_schedule }
    }

    /// The factors of the buffer and of the gradient g (with the decay in it) in the direction of a step with momentum m:
    /// a · buf + b · g. A gradient that is late by D updates would have moved the parameter by 1 + m + … + m^(D − 1) times
    /// itself by now, so a = m^D and b = (1 − m^D) / (1 − m) (Kosson et al. 2021, spike compensation). For D = 1 that is
    /// Nesterov's direction, so Nesterov's step counts as one more update.
    pub fn direction(&self) -> [f64; 2] {
        match self.method {
            Method::Sgd { momentum, nesterov: false } if self.delay == 0.0 || momentum == 0.0 => [1.0, 0.0],
            Method::Sgd { momentum, nesterov: true } if self.delay == 0.0 => [momentum, 1.0],
            Method::Sgd { momentum, nesterov } => {
                let kept = momentum.powf(self.delay + f64::from(u8::from(nesterov)));
                [kept, (1.0 - kept) / (1.0 - momentum)]
            }
            Method::Adam { .. } => [1.0, 0.0],
        }
    }

    /// λ in the step that follows `updates` finished ones.
    pub fn decay(&self, updates: u64) -> f64 {
        self.weight_decay * self.weight_decay_schedule.factor(updates)
    }

    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        let unit = |value: f64| (0.0..1.0).contains(&value);
        let method = match self.method {
            Method::Sgd { momentum, nesterov } => unit(momentum) && (!nesterov || momentum > 0.0),
            Method::Adam { beta1, beta2, eps } => unit(beta1) && unit(beta2) && eps > 0.0 && eps.is_finite(),
        };
        let positive = |value: f64| value >= 0.0 && value.is_finite();
        let numbers = [self.lr, self.weight_decay, self.clip, self.delay];
        if method && numbers.into_iter().all(positive) {
            return Ok(self);
        }
        Err(ProtocolError::invalid(format!("an optimizer cannot work with {self:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After its step and those that follow it, a late gradient has moved the parameter as far as one in time.
    #[test]
    fn a_late_gradient_catches_up_at_once() {
        let moved = |delay: usize, nesterov, updates: usize| {
            let method = Method::Sgd { momentum: 0.8, nesterov };
            let spec = OptimizerSpec { method, delay: delay as f64, ..OptimizerSpec::sgd(1.0) };
            let ([a, b], mut buffer, mut moved) = (spec.direction(), 0.0, 0.0);
            for update in 0..updates {
                let gradient = if update == delay { 1.0 } else { 0.0 };
                buffer = 0.8 * buffer + gradient;
                moved += a * buffer + b * gradient;
            }
            (1e9 * moved).round() / 1e9
        };
        for nesterov in [false, true] {
            for updates in [4, 5, 9] {
                assert_eq!(moved(0, nesterov, updates), moved(3, nesterov, updates), "{nesterov} {updates}");
            }
        }
        assert_eq!([moved(0, false, 2), moved(0, true, 1)], [1.8, 1.8]);
    }

    #[test]
    fn the_factor_follows_its_drawing() {
        let at = |schedule: &Schedule, updates: [u64; 4]| {
            updates.map(|u| (schedule.factor(u) * 1e3).round() / 1e3)
        };
        let cosine = Schedule { warmup: 0, shape: Shape::Cosine { total: 4 } };
        assert_eq!(at(&cosine, [0, 1, 2, 9]), [1.0, 0.854, 0.5, 0.0]);
        let step = Schedule { warmup: 2, shape: Shape::Step { boundaries: vec![3, 5], factor: 0.1 } };
        assert_eq!(at(&step, [0, 1, 3, 5]), [0.5, 1.0, 0.1, 0.01]);
    }
}
