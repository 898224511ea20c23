//! `[rule]` and `[rule.layers.LAYER]`: how B learns, in every layer and in some.

mod fits;
mod reader;

use std::collections::BTreeMap;

use proto::spec::optimizer::Schedule;
use proto::spec::rule::{Centering, Coefficients, Magnitude, Noise, RuleSpec, Transfer};
use toml::Value;

use super::allowed::number;
use super::check::{boundaries, steps};
use super::optimizer::{Course, Optimizer, schedule};
use super::tree::Tree;
use super::{ConfigError, keys};
use crate::rule::Surroundings;
use reader::Reader;

/// The keys of the primitives' coefficients.
pub(super) const PRIMITIVES: [&str; 5] = ["amp", "null", "sparse", "self", "decay"];
/// The words of `magnitude`.
pub(super) const MAGNITUDES: [(&str, Magnitude); 3] =
    [("uniform", Magnitude::Uniform), ("redrawn", Magnitude::Redrawn), ("fixed", Magnitude::Fixed)];
/// The words of `centering`.
pub(super) const CENTERINGS: [(&str, Centering); 3] =
    [("none", Centering::None), ("sample", Centering::Sample), ("batch", Centering::Batch)];
/// The words of `activation`.
pub(super) const TRANSFERS: [(&str, Transfer); 3] =
    [("none", Transfer::Identity), ("relu", Transfer::Relu), ("tanh", Transfer::Tanh)];
/// The words of `noise`.
pub(super) const NOISES: [(&str, Noise); 2] = [("normal", Noise::Normal), ("uniform", Noise::Uniform)];
/// How B learns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// In every layer that has no rule of its own.
    pub all: RuleSpec,
    /// In these layers.
    pub layers: BTreeMap<String, RuleSpec>,
    /// The factor on the coefficients, in all layers.
    pub course: RuleCourse,
}

/// The course of the coefficients' factor, in epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleCourse {
    /// After warm-up.
    pub schedule: Course,
    /// Epochs over which the factor rises linearly.
    pub warmup_epochs: f64,
    /// [`Course::Step`]: where it is multiplied, in epochs, ascending.
    pub boundaries: Vec<f64>,
    /// [`Course::Step`]: by what.
    pub factor: f64,
}

impl Default for RuleCourse {
    fn default() -> Self {
        Self {
            schedule: Course::Constant,
            warmup_epochs: 0.0,
            boundaries: vec![30.0, 60.0, 80.0],
            factor: 0.1,
        }
    }
}

impl RuleCourse {
    /// What a node is told: epochs become updates, as for [`Optimizer::spec`].
    pub fn spec(&self, steps_per_epoch: u64, total_steps: u64) -> Schedule {
        let Self { schedule: course, warmup_epochs, boundaries, factor } = self;
        schedule(*course, *warmup_epochs, boundaries, *factor, [steps_per_epoch, total_steps])
    }

    fn read(tree: &Tree) -> Self {
        let unset = Self::default();
        let words = [("constant", Course::Constant), ("cosine", Course::Cosine), ("step", Course::Step)];
        let list = |value: &Value| Some(value.as_array()?.iter().filter_map(number).collect());
        Self {
            schedule: word(tree, "rule.schedule", &words).unwrap_or(unset.schedule),
            warmup_epochs: tree.number("rule.warmup_epochs").unwrap_or(unset.warmup_epochs),
            boundaries: tree.get("rule.boundaries").and_then(list).unwrap_or(unset.boundaries),
            factor: tree.number("rule.factor").unwrap_or(unset.factor),
        }
    }
}

impl Rule {
    /// The rule of the layer of this name.
    pub fn of(&self, layer: &str) -> &RuleSpec {
        self.layers.get(layer).unwrap_or(&self.all)
    }

    /// The rules that `tree` (the keys below `rule`) names, for these optimizers of W and B and minibatches
    /// of `batch` samples in so many `microbatches`.
    pub(super) fn resolve(
        tree: &Tree,
        w: &Optimizer,
        b: &Optimizer,
        [batch, microbatches]: [u32; 2],
    ) -> Result<Self, ConfigError> {
        let (largest, smallest) = (batch.div_ceil(microbatches), batch / microbatches);
        let around = Surroundings { weight_decay: w.weight_decay, microbatch: largest };
        let course = RuleCourse::read(tree);
        boundaries("rule", &course.boundaries, tree)?;
        steps("rule", &[course.schedule], tree)?;
        let reader = Reader { tree, w, b, around, smallest, course: course.clone() };
        let all = reader.rule("rule", &RuleSpec::Backprop)?;
        let names = tree.paths().filter_map(|path| keys::own_rule(path).map(|(layer, _)| layer));
        let names = names.chain(tree.bare()).map(str::to_owned);
        let own =
            |layer: String| reader.rule(&format!("rule.layers.{layer}"), &all).map(|rule| (layer, rule));
        let layers = names.map(own).collect::<Result<_, _>>()?;
        let rule = Rule { all, layers, course };
        let has_loss = |rule: &RuleSpec| matches!(rule, RuleSpec::Learned { coefficients, .. } if *coefficients != Coefficients::default());
        if rule.course != RuleCourse::default() && !rule.layers.values().chain([&rule.all]).any(has_loss) {
            let keys = ["schedule", "warmup_epochs", "boundaries", "factor"].map(|key| format!("rule.{key}"));
            let set = keys.into_iter().find(|key| tree.get(key).is_some()).unwrap_or_default();
            let why = "is the course of the coefficients, of which no rule has one: leave it out";
            return Err(reader.refuse(&set, why));
        }
        Ok(rule)
    }
}

/// What the word at `path` stands for; `None` where nobody set it.
fn word<T: Copy>(tree: &Tree, path: &str, words: &[(&str, T)]) -> Option<T> {
    let set = tree.text(path)?;
    words.iter().find(|(word, _)| *word == set).map(|(_, meaning)| *meaning)
}
