//! The optimizer settings of a configuration, in epochs; nodes count updates, so the settings are converted for
//! them.

use std::fmt;

use proto::spec::optimizer::{self, OptimizerSpec};
use serde::{Deserialize, Serialize};

use super::allowed::Allowed::{Switch, Whole};
use super::allowed::{FRACTION, NOT_NEGATIVE, POSITIVE, POSITIVES, one_of};
use super::schema::{Key, is, section};
use proto::microbatch::MAX_MICROBATCHES;
use proto::spec::limits::MAX_MICROBATCH;

/// The method that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Stochastic gradient descent, with or without momentum.
    Sgd,
    /// Kingma & Ba 2015.
    Adam,
}

section! {
    /// The optimizer of W (with biases and norms), or that of B.
    pub struct Optimizer {
        name: Method = one_of::<Method>(), is(Method::Sgd), "what turns a gradient into a step";
        lr: f64 = NOT_NEGATIVE, is(0.1), "learning rate where the schedule's factor is 1";
        lr_batch: u32 = Whole(0, MAX_MICROBATCHES as i64 * MAX_MICROBATCH as i64), is(0),
            "the batch that `lr` is for: a `train.batch` of another size scales it in proportion; 0: no scaling";
        momentum: f64 = FRACTION, is(0.9), "weight of the past (`sgd`)";
        nesterov: bool = Switch, is(true), "look one step ahead (`sgd` with momentum)";
        weight_decay: f64 = NOT_NEGATIVE, is(1e-4),
            "λ: λ·p is added to the gradient of conv and linear matrices";
        clip: f64 = NOT_NEGATIVE, is(0.0),
            "the longest gradient of one tensor (W, B, a bias, a norm's scale or shift), before the decay: a longer one is shortened to it; 0: no limit";
        beta1: f64 = FRACTION, is(0.9), "weight of the past in the mean (`adam`)";
        beta2: f64 = FRACTION, is(0.999), "weight of the past in the square (`adam`)";
        eps: f64 = POSITIVE, is(1e-8), "added to the root (`adam`)";
        .. {
            /// The factor on the learning rate.
            #[serde(flatten)]
            pub schedule: LearningRateSchedule,
            /// The factor on the weight decay.
            #[serde(flatten)]
            pub decay: DecaySchedule,
        }
    }
}

/// The shape of a schedule after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The rate, or the decay, stays the same.
    #[default]
    Constant,
    /// It follows half a cosine, down to 0 at the last update.
    Cosine,
    /// It is multiplied by the factor at every boundary.
    Step,
}

/// Prints the name in the configuration.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

section! {
    /// The factor on a learning rate, or on the coefficients of a rule; times are in epochs.
    pub struct LearningRateSchedule {
        schedule: Shape = one_of::<Shape>(), is(Shape::Cosine), "the learning rate's course";
        warmup_epochs: f64 = NOT_NEGATIVE, is(WARMUP), "epochs over which the factor rises linearly";
        boundaries: Vec<f64> = POSITIVES, is(BOUNDARIES), "epochs at which `step` multiplies by `factor`";
        factor: f64 = POSITIVE, is(FACTOR), "what each boundary multiplies by (`step`)";
    }
}

section! {
    /// The factor on a weight decay; times are in epochs. The default step is that of a strong decay in the first epoch,
    /// which aligns what obeys Kolen-Pollack's law: from 5e-4 to 1e-4.
    pub struct DecaySchedule {
        weight_decay_schedule: Shape = one_of::<Shape>(), is(Shape::Constant),
            "the weight decay's course, which a B or an R that decays as W follows too";
        weight_decay_warmup_epochs: f64 = NOT_NEGATIVE, is(WARMUP),
            "epochs over which the factor on the decay rises linearly";
        weight_decay_boundaries: Vec<f64> = POSITIVES, is([1.0]),
            "epochs at which `step` multiplies the decay by `weight_decay_factor`";
        weight_decay_factor: f64 = POSITIVE, is(0.2), "what each boundary multiplies the decay by (`step`)";
    }
}

impl DecaySchedule {
    /// The same factor in the form of a learning rate's.
    pub fn course(&self) -> LearningRateSchedule {
        LearningRateSchedule {
            schedule: self.weight_decay_schedule,
            warmup_epochs: self.weight_decay_warmup_epochs,
            boundaries: self.weight_decay_boundaries.clone(),
            factor: self.weight_decay_factor,
        }
    }
}

const WARMUP: f64 = 0.0;
const BOUNDARIES: [f64; 3] = [30.0, 60.0, 80.0];
const FACTOR: f64 = 0.1;

/// A factor that stays 1.
impl Default for LearningRateSchedule {
    fn default() -> Self {
        let (warmup_epochs, boundaries) = (WARMUP, BOUNDARIES.to_vec());
        Self { schedule: Shape::default(), warmup_epochs, boundaries, factor: FACTOR }
    }
}

impl LearningRateSchedule {
    /// The schedule for a node, in updates: an epoch has `steps_per_epoch` updates, and a cosine ends after
    /// `total_steps`. Fractions of an update are rounded.
    pub fn spec(&self, steps_per_epoch: u64, total_steps: u64) -> optimizer::Schedule {
        let updates = |epochs: f64| (epochs * steps_per_epoch as f64).round() as u64;
        let shape = match self.schedule {
            Shape::Constant => optimizer::Shape::Constant,
            Shape::Cosine => optimizer::Shape::Cosine { total: total_steps },
            Shape::Step => {
                let boundaries = self.boundaries.iter().map(|&epochs| updates(epochs)).collect();
                optimizer::Shape::Step { boundaries, factor: self.factor }
            }
        };
        optimizer::Schedule { warmup: updates(self.warmup_epochs), shape }
    }
}

impl Optimizer {
    /// The learning rate at factor 1 for minibatches of `batch` samples.
    pub fn rate(&self, batch: u32) -> f64 {
        match self.lr_batch {
            0 => self.lr,
            of => self.lr * (f64::from(batch) / f64::from(of)),
        }
    }

    /// The method that turns a gradient into a step. Without momentum, `nesterov` has no effect and is left out.
    pub fn method(&self) -> optimizer::Method {
        match self.name {
            Method::Sgd => optimizer::Method::Sgd {
                momentum: self.momentum,
                nesterov: self.nesterov && self.momentum > 0.0,
            },
            Method::Adam => optimizer::Method::Adam { beta1: self.beta1, beta2: self.beta2, eps: self.eps },
        }
    }

    /// The specification for a node, for minibatches of `batch` samples, epochs of `steps_per_epoch` updates and a run
    /// of `total_steps`.
    pub fn spec(&self, batch: u32, [steps_per_epoch, total_steps]: [u64; 2]) -> OptimizerSpec {
        OptimizerSpec {
            method: self.method(),
            lr: self.rate(batch),
            weight_decay: self.weight_decay,
            clip: self.clip,
            schedule: self.schedule.spec(steps_per_epoch, total_steps),
            weight_decay_schedule: self.decay.course().spec(steps_per_epoch, total_steps),
            delay: 0.0,
        }
    }

    /// The product of learning rate and decay from which on the steps of a pure decay overshoot more at every update.
    /// Adam's steps do not grow with the gradient, so nothing is too large for it.
    pub fn steady_below(&self) -> f64 {
        let m = self.momentum;
        match self.name {
            Method::Adam => f64::INFINITY,
            Method::Sgd if self.nesterov => 2.0 * (1.0 + m) / (1.0 + 2.0 * m),
            Method::Sgd => 2.0 * (1.0 + m),
        }
    }

    /// The first key that makes `other` take different steps of the same gradient; the size of weight decay does not count.
    pub(super) fn difference(&self, other: &Optimizer) -> Option<&'static str> {
        let (mine, others) = (&self.schedule, &other.schedule);
        let (decay, of_other) = (&self.decay, &other.decay);
        let same = [
            ("name", self.name == other.name),
            ("lr", self.lr == other.lr),
            ("lr_batch", self.lr_batch == other.lr_batch),
            ("clip", self.clip == other.clip),
            ("momentum", self.momentum == other.momentum),
            ("nesterov", self.nesterov == other.nesterov),
            ("schedule", mine.schedule == others.schedule),
            ("warmup_epochs", mine.warmup_epochs == others.warmup_epochs),
            ("boundaries", mine.boundaries == others.boundaries),
            ("factor", mine.factor == others.factor),
            ("weight_decay_schedule", decay.weight_decay_schedule == of_other.weight_decay_schedule),
            (
                "weight_decay_warmup_epochs",
                decay.weight_decay_warmup_epochs == of_other.weight_decay_warmup_epochs,
            ),
            ("weight_decay_boundaries", decay.weight_decay_boundaries == of_other.weight_decay_boundaries),
            ("weight_decay_factor", decay.weight_decay_factor == of_other.weight_decay_factor),
        ];
        same.iter().find(|(_, same)| !same).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    fn optimizer(sets: &[&str]) -> OptimizerSpec {
        let sets: Vec<String> = sets.iter().map(|set| format!("optimizer.{set}")).collect();
        let text = "[[layer]]\nkind = 'flatten'\n[[layer]]\nkind = 'linear'\nout = 10";
        parse(text, "test.toml", &sets, &Environment::empty()).unwrap().optimizer.spec(128, [10, 40])
    }

    #[test]
    fn epochs_become_updates() {
        let step = optimizer(&["schedule=step", "boundaries=[1, 2.5]", "factor=0.5", "warmup_epochs=0.3"]);
        let shape = optimizer::Shape::Step { boundaries: vec![10, 25], factor: 0.5 };
        assert_eq!(step.schedule, optimizer::Schedule { warmup: 3, shape });
        assert_eq!(optimizer(&[]).schedule.shape, optimizer::Shape::Cosine { total: 40 });
    }

    #[test]
    fn the_decay_has_a_course_of_its_own() {
        assert!(optimizer(&[]).weight_decay_schedule.is_one());
        let step = optimizer(&["weight_decay=0.5", "weight_decay_schedule=step"]);
        let decays = [0, 9, 10, 39].map(|updates| step.decay(updates));
        assert_eq!(decays, [0.5, 0.5, 0.1, 0.1]);
        let warm = optimizer(&["weight_decay=0.5", "weight_decay_warmup_epochs=0.4"]);
        assert_eq!([0, 1, 3, 4].map(|updates| warm.decay(updates)), [0.125, 0.25, 0.5, 0.5]);
        let cosine = optimizer(&["weight_decay=0.5", "weight_decay_schedule=cosine"]);
        assert_eq!(cosine.decay(40), 0.0);
        assert_eq!(cosine.schedule, optimizer(&[]).schedule, "the rate's course is another");
    }

    #[test]
    fn the_rate_follows_the_batch_that_it_is_for() {
        let rate = |sets: &[&str]| optimizer(sets).lr;
        assert_eq!([rate(&[]), rate(&["lr_batch=0"])], [0.1; 2]);
        assert_eq!(
            [rate(&["lr_batch=256"]), rate(&["lr_batch=64"]), rate(&["lr_batch=128"])],
            [0.05, 0.2, 0.1]
        );
        assert_eq!([optimizer(&[]).clip, optimizer(&["clip=2"]).clip], [0.0, 2.0]);
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
