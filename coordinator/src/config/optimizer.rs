//! An optimizer as the configuration says it: in epochs, where nodes count updates.

use proto::spec::optimizer::{self, OptimizerSpec, Shape};
use serde::{Deserialize, Serialize};

/// What turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Stochastic gradient descent, with or without momentum.
    Sgd,
    /// Kingma & Ba 2015.
    Adam,
}

/// The learning rate's course after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// The same throughout.
    Constant,
    /// Half a cosine, down to 0 at the last update.
    Cosine,
    /// Multiplied by `factor` at every boundary.
    Step,
}

impl Course {
    /// Its word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Course::Constant => "constant",
            Course::Cosine => "cosine",
            Course::Step => "step",
        }
    }
}

/// The optimizer of W (with biases and norms), or that of B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// What turns a gradient into a step.
    pub name: Method,
    /// The learning rate where the schedule's factor is 1.
    pub lr: f64,
    /// SGD: weight of the past; 0 for none.
    pub momentum: f64,
    /// SGD: look one step ahead.
    pub nesterov: bool,
    /// λ of conv and linear matrices.
    pub weight_decay: f64,
    /// Adam: weight of the past in the mean.
    pub beta1: f64,
    /// Adam: weight of the past in the square.
    pub beta2: f64,
    /// Adam: added to the root.
    pub eps: f64,
    /// The learning rate's course.
    pub schedule: Course,
    /// Epochs over which the learning rate rises linearly.
    pub warmup_epochs: f64,
    /// [`Course::Step`]: where the learning rate is multiplied, in epochs, ascending.
    pub boundaries: Vec<f64>,
    /// [`Course::Step`]: by what.
    pub factor: f64,
}

impl Optimizer {
    /// What a node is told: epochs become updates, of which there are `steps_per_epoch` in an epoch and
    /// `total_steps` until a cosine ends. Fractions of an update are rounded.
    ///
    /// Without momentum, `nesterov` says nothing and is left out.
    pub fn spec(&self, steps_per_epoch: u64, total_steps: u64) -> OptimizerSpec {
        let method = match self.name {
            Method::Sgd => optimizer::Method::Sgd {
                momentum: self.momentum,
                nesterov: self.nesterov && self.momentum > 0.0,
            },
            Method::Adam => optimizer::Method::Adam { beta1: self.beta1, beta2: self.beta2, eps: self.eps },
        };
        let epoch_and_run = [steps_per_epoch, total_steps];
        let schedule =
            schedule(self.schedule, self.warmup_epochs, &self.boundaries, self.factor, epoch_and_run);
        OptimizerSpec { method, lr: self.lr, weight_decay: self.weight_decay, schedule }
    }

    /// The first key in which `other` would make other steps of the same gradient; weight decay aside.
    pub(super) fn difference(&self, other: &Optimizer) -> Option<&'static str> {
        let same = [
            ("name", self.name == other.name),
            ("lr", self.lr == other.lr),
            ("momentum", self.momentum == other.momentum),
            ("nesterov", self.nesterov == other.nesterov),
            ("schedule", self.schedule == other.schedule),
            ("warmup_epochs", self.warmup_epochs == other.warmup_epochs),
            ("boundaries", self.boundaries == other.boundaries),
            ("factor", self.factor == other.factor),
        ];
        same.iter().find(|(_, same)| !same).map(|(key, _)| *key)
    }
}

/// A course in epochs as a schedule in updates, of which there are so many in an epoch and in the run.
pub(super) fn schedule(
    course: Course,
    warmup_epochs: f64,
    boundaries: &[f64],
    factor: f64,
    [steps_per_epoch, total_steps]: [u64; 2],
) -> optimizer::Schedule {
    let updates = |epochs: f64| (epochs * steps_per_epoch as f64).round() as u64;
    let shape = match course {
        Course::Constant => Shape::Constant,
        Course::Cosine => Shape::Cosine { total: total_steps },
        Course::Step => {
            Shape::Step { boundaries: boundaries.iter().map(|&epochs| updates(epochs)).collect(), factor }
        }
    };
    optimizer::Schedule { warmup: updates(warmup_epochs), shape }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn optimizer(sets: &[&str]) -> OptimizerSpec {
        let sets: Vec<String> = sets.iter().map(|set| format!("optimizer.{set}")).collect();
        let text = "[[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 10";
        parse(text, "test.toml", &sets, &Environment::empty()).unwrap().optimizer.spec(10, 40)
    }

    #[test]
    fn epochs_become_updates() {
        let step = optimizer(&["schedule=step", "boundaries=[1, 2.5]", "factor=0.5", "warmup_epochs=0.3"]);
        let shape = Shape::Step { boundaries: vec![10, 25], factor: 0.5 };
        assert_eq!(step.schedule, optimizer::Schedule { warmup: 3, shape });
        assert_eq!(optimizer(&[]).schedule.shape, Shape::Cosine { total: 40 });
    }

    #[test]
    fn the_names_decide_the_method() {
        let sgd = |momentum, nesterov| optimizer::Method::Sgd { momentum, nesterov };
        assert_eq!(optimizer(&[]).method, sgd(0.9, true));
        assert_eq!(optimizer(&["momentum=0"]).method, sgd(0.0, false));
        let adam = optimizer::Method::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
        assert_eq!(optimizer(&["name=adam", "momentum=0.5"]).method, adam);
    }
}
