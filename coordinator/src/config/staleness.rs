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

use super::Config;
use super::allowed::Allowed::Switch;
use super::allowed::SHARE;
use super::error::ConfigError;
use super::optimizer::{Method, Optimizer};
use super::schema::{Key, is, section};
use super::tree::Tree;

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
    fn first_set(&self) -> Option<&'static str> {
        let set = [
            ("divide_rate", self.divide_rate),
            ("shrink", self.shrink != 1.0),
            ("look_ahead", self.look_ahead),
            ("compensate_spikes", self.compensate_spikes),
        ];
        set.iter().find(|(_, set)| *set).map(|(key, _)| *key)
    }
}

/// Checks the keys against the schedule and the optimizers; `tree` says where they were set.
pub(super) fn check(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| {
        let key = format!("staleness.{key}");
        Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(&key))))
    };
    let (staleness, schedule) = (&config.staleness, config.pipeline.schedule);
    if let Some(key) = staleness.first_set().filter(|_| !config.is_asynchronous()) {
        let why = format!(
            "is a remedy for delays, and under 'pipeline.schedule' \"{schedule}\" there are none: leave it out, or set the \
             schedule \"asynchronous\""
        );
        return refuse(key, why);
    }
    let steps = [("optimizer", &config.optimizer), ("optimizer_b", &config.optimizer_b)];
    let without = |fits: fn(&Optimizer) -> bool| {
        steps.iter().find(|(_, optimizer)| !fits(optimizer)).map(|(table, _)| *table)
    };
    let has_momentum = |optimizer: &Optimizer| optimizer.name == Method::Sgd && optimizer.momentum > 0.0;
    if let Some(table) = without(has_momentum).filter(|_| staleness.compensate_spikes) {
        let why = format!("is for \"sgd\" with momentum, and '{table}' is not that: set '{table}.momentum'");
        return refuse("compensate_spikes", why);
    }
    let has_nesterov = |optimizer: &Optimizer| {
        optimizer.name == Method::Sgd && optimizer.momentum > 0.0 && optimizer.nesterov
    };
    match without(has_nesterov).filter(|_| staleness.look_ahead) {
        Some(table) => refuse(
            "look_ahead",
            format!(
                "is for Nesterov's momentum, and '{table}' has none: set '{table}.nesterov' and its momentum"
            ),
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn said(sets: &[&str]) -> String {
        let text = "pipeline.schedule = 'asynchronous'\n[[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 10";
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let parsed = parse(text, "c.toml", &sets, &Environment::empty());
        parsed.err().map(|error| error.to_string()).unwrap_or_default()
    }

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

    #[test]
    fn a_remedy_without_a_delay_or_without_momentum_is_refused() {
        assert_eq!(said(&["staleness.look_ahead=true", "staleness.shrink=0.5"]), "");
        let flushed = said(&["pipeline.schedule=gpipe", "staleness.shrink=0.5"]);
        assert!(
            flushed.contains("'staleness.shrink' in --set is a remedy for delays, and under"),
            "{flushed}"
        );
        let plain = said(&["optimizer.nesterov=false", "staleness.look_ahead=true"]);
        assert!(plain.contains("is for Nesterov's momentum, and 'optimizer' has none"), "{plain}");
        let adam = said(&["optimizer.name=adam", "staleness.compensate_spikes=true"]);
        assert!(adam.contains("is for \"sgd\" with momentum, and 'optimizer' is not that"), "{adam}");
    }
}
