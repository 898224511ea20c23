//! The learning rates of a run's steps: that of W, and that of B where B takes steps of its own.

use crate::config::Config;
use crate::model::Network;
use proto::spec::optimizer::OptimizerSpec;

/// The learning rates of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// The rate of W, biases and norms.
    pub forward: f64,
    /// The rate of B; `None` where no B takes steps.
    pub backward: Option<f64>,
}

/// The learning rates of all steps of a run.
#[derive(Clone, Debug)]
pub struct Rates {
    forward: OptimizerSpec,
    backward: Option<OptimizerSpec>,
}

impl Rates {
    /// The rates under `config` for `network`; `minibatches` are those of an epoch and of the whole run.
    pub fn of(config: &Config, network: &Network, minibatches: [u64; 2]) -> Self {
        let steps = network.layers.iter().any(|layer| layer.op.is_weight() && layer.rule.trains());
        let batch = config.step().samples;
        Self {
            forward: config.optimizer.spec(batch, minibatches),
            backward: steps.then(|| config.optimizer_b.spec(batch, minibatches)),
        }
    }

    /// The rates of `step`, counted from 1.
    pub fn at(&self, step: u64) -> Rate {
        let at = |spec: &OptimizerSpec| spec.lr * spec.schedule.factor(step.saturating_sub(1));
        Rate { forward: at(&self.forward), backward: self.backward.as_ref().map(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn rates(sets: &str) -> Rates {
        let sets: Vec<String> = sets.split_whitespace().map(str::to_owned).collect();
        let text = "[[layer]]\nkind = 'flatten'\n[[layer]]\nname = 'fc'\nkind = 'linear'\nout = 10";
        let config = parse(text, "c.toml", &sets, &Environment::empty()).unwrap();
        let network = config.network([1, 2, 2]).unwrap();
        Rates::of(&config, &network, [10, 20])
    }

    #[test]
    fn the_rates_follow_both_schedules() {
        let found = rates(
            "rule.name=kolen_pollack optimizer.lr=0.5 optimizer.schedule=step optimizer.boundaries=[1] \
             optimizer.factor=0.5 optimizer.warmup_epochs=0.2",
        );
        let at = |step| found.at(step);
        let both = |rate| Rate { forward: rate, backward: Some(rate) };
        assert_eq!([at(1), at(2), at(10), at(11)], [both(0.25), both(0.5), both(0.5), both(0.25)]);
        let own = rates("rule.name=weight_mirror optimizer.schedule=constant optimizer_b.lr=0.3");
        assert_eq!(own.at(7), Rate { forward: 0.1, backward: Some(0.3) });
    }

    #[test]
    fn a_b_that_takes_no_steps_has_no_rate() {
        for (sets, due) in [
            ("rule.name=backprop", None),
            ("rule.name=feedback_alignment", None),
            ("rule.name=sign_symmetry", None),
            ("rule.name=feedback_alignment rule.layers.fc.name=symmetric_alignment", Some(0.1)),
        ] {
            assert_eq!(rates(sets).at(1).backward, due, "{sets}");
        }
    }
}
