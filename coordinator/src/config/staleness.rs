//! The remedies for the delay of an asynchronous pipeline: each changes the steps or the error signals of a stage by the
//! stage's own delay.
//!
//! The delay of stage s of n, in updates, is D = (w − 1) / k with w = n − s + ahead and k microbatches in a step: so many
//! updates stand between the forward and the backward pass of a microbatch in the mean.
//!
//! ```text
//! divide_rate        lr / max(1, D)                           Yang et al. 2021 (PipeMare), its first technique, not annealed
//! shrink             β · (the error signal to the stage below) Zhuang et al. 2021 (FDG)
//! look_ahead         Nesterov's step with (1 − momentum) · lr  Ajanthan et al. 2025 (AsyncPP)
//! compensate_spikes  p −= lr · (a · buf + b · g)               Kosson et al. 2021 (spike compensation)
//!                    a = momentum^D, b = (1 − momentum^D) / (1 − momentum); with Nesterov's step D counts one more
//! ```
//!
//! The fifth remedy is `pipeline.update_every`: an update of many microbatches makes D small (Rivaud et al. 2025, PETRA).

use proto::spec::optimizer::OptimizerSpec;
use serde::{Deserialize, Serialize};

use super::allowed::Allowed::Switch;
use super::allowed::SHARE;
use super::schema::{Key, is, section};

section! {
    /// `[staleness]`: the remedies for the delay of an asynchronous pipeline.
    pub struct Staleness {
        divide_rate: bool = Switch, is(false),
            "divide the learning rate of a stage by its delay in updates, where that is above 1 (PipeMare)";
        shrink: f64 = SHARE, is(1.0), "β: factor on the error signal that a stage sends below (FDG)";
        look_ahead: bool = Switch, is(false),
            "count a gradient only 1 − `momentum` times in Nesterov's step, for a momentum near 1 (AsyncPP)";
        compensate_spikes: bool = Switch, is(false),
            "let a gradient step at once by as much as it would have in the updates by which it is late (spike compensation)";
    }
}

impl Staleness {
    /// The optimizer of a stage with this `delay` in updates, made of that of a stage without delay.
    pub fn at_stage(&self, mut spec: OptimizerSpec, delay: f64) -> OptimizerSpec {
        if self.divide_rate {
            spec.lr /= delay.max(1.0);
        }
        if self.look_ahead {
            spec.lr *= 1.0 - spec.method.momentum();
        }
        if self.compensate_spikes {
            spec.delay = delay;
        }
        spec
    }

    /// The first key that is not at its default.
    pub(super) fn first_set(&self) -> Option<&'static str> {
        let set = [
            ("divide_rate", self.divide_rate),
            ("shrink", self.shrink != 1.0),
            ("look_ahead", self.look_ahead),
            ("compensate_spikes", self.compensate_spikes),
        ];
        set.iter().find(|(_, set)| *set).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_remedy_changes_the_steps_of_a_stage_by_its_delay() {
        let of = |staleness: Staleness, delay| {
            let method = proto::spec::optimizer::Method::Sgd { momentum: 0.9, nesterov: true };
            let spec = OptimizerSpec { method, ..OptimizerSpec::sgd(0.3) };
            let OptimizerSpec { lr, delay, .. } = staleness.at_stage(spec, delay);
            (format!("{lr:.4}"), delay)
        };
        let off = Staleness { divide_rate: false, shrink: 1.0, look_ahead: false, compensate_spikes: false };
        assert_eq!(of(off.clone(), 3.0), ("0.3000".into(), 0.0));
        let divided = Staleness { divide_rate: true, ..off.clone() };
        assert_eq!([of(divided.clone(), 0.5).0, of(divided.clone(), 3.0).0], ["0.3000", "0.1000"]);
        assert_eq!(of(Staleness { look_ahead: true, ..off.clone() }, 3.0).0, "0.0300");
        assert_eq!(of(Staleness { compensate_spikes: true, ..off }, 2.5), ("0.3000".into(), 2.5));
        let all = Staleness { look_ahead: true, compensate_spikes: true, ..divided };
        assert_eq!(of(all, 3.0), ("0.0100".into(), 3.0));
    }
}
