//! `[rule]` and `[rule.layers.LAYER]`: the learning rule of B, for all layers and for single layers.

mod fits;
pub(super) mod keys;

use std::collections::BTreeMap;

use proto::spec::rule::RuleSpec;
use serde::Serialize;
use toml::{Table, Value};

use super::ConfigError;
use super::check::{boundaries, steps};
use super::optimizer::{LearningRateSchedule, Optimizer};
use super::tree::Tree;
use crate::rule::{Name, Surroundings, mirror};

/// The learning rules of B.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rule {
    /// The rule of every layer that has no rule of its own.
    #[serde(flatten)]
    pub all: RuleSpec,
    /// The factor on the coefficients, in all layers. A constant factor of 1 is not printed, because backprop would
    /// refuse the key.
    #[serde(flatten, skip_serializing_if = "is_usual")]
    pub course: LearningRateSchedule,
    /// The rules of single layers, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, RuleSpec>,
}

fn is_usual(schedule: &LearningRateSchedule) -> bool {
    *schedule == LearningRateSchedule::default()
}

impl Rule {
    /// The rule of the layer called `layer`.
    pub fn of(&self, layer: &str) -> &RuleSpec {
        self.layers.get(layer).unwrap_or(&self.all)
    }

    /// Resolves the rules in `tree` (the keys below `rule`) for these optimizers of W and B, and for minibatches of
    /// `batch` samples in `microbatches` microbatches.
    pub(super) fn resolve(
        tree: &Tree,
        w: &Optimizer,
        b: &Optimizer,
        [batch, microbatches]: [u32; 2],
    ) -> Result<Self, ConfigError> {
        let (largest, smallest) = (batch.div_ceil(microbatches), batch / microbatches);
        let around = Surroundings { weight_decay: w.weight_decay, microbatch: largest };
        let course = schedule(tree)?;
        let reader = Reader { tree, w, b, around, smallest, course: course.clone() };
        let all = reader.rule("rule", &RuleSpec::Backprop)?;
        let own = |layer: &str| {
            reader.rule(&format!("rule.layers.{layer}"), &all).map(|rule| (layer.to_owned(), rule))
        };
        let layers = tree.layers().map(own).collect::<Result<_, _>>()?;
        let rule = Rule { all, layers, course };
        let has_loss = |rule: &RuleSpec| matches!(rule, RuleSpec::Learned { coefficients, .. } if !coefficients.are_zero());
        if !is_usual(&rule.course) && !rule.layers.values().chain([&rule.all]).any(has_loss) {
            let set = keys::schedule("rule").into_iter().find(|key| tree.get(&key.path).is_some());
            let why = "is the course of the coefficients, of which no rule has one: leave it out";
            return Err(reader.refuse(&set.map_or_else(String::new, |key| key.path), why));
        }
        Ok(rule)
    }
}

/// The factor on the coefficients.
fn schedule(tree: &Tree) -> Result<LearningRateSchedule, ConfigError> {
    let mut whole = tree.clone();
    whole.fill(&keys::schedule("rule"));
    let schedule: LearningRateSchedule = typed(whole.below("rule"))?;
    boundaries("rule.", &schedule.boundaries, tree)?;
    steps("rule.", &[schedule.schedule], tree)?;
    Ok(schedule)
}

/// Reads rules, each from the keys below its prefix.
struct Reader<'a> {
    tree: &'a Tree,
    w: &'a Optimizer,
    b: &'a Optimizer,
    around: Surroundings,
    /// Samples in the smallest microbatch.
    smallest: u32,
    course: LearningRateSchedule,
}

impl Reader<'_> {
    /// The rule whose keys begin with `prefix`, on top of the defaults of its name or on top of the `inherited`
    /// rule.
    fn rule(&self, prefix: &str, inherited: &RuleSpec) -> Result<RuleSpec, ConfigError> {
        let own = self.tree.below(prefix);
        let base = match own.get("name") {
            Some(name) => typed::<Name>(name.clone())?.rule(self.around),
            None => inherited.clone(),
        };
        // A rule that turns to noise only here needs the defaults of the noise.
        let mut keys = table(&mirror(self.around))?;
        keys.extend(table(&base)?);
        keys.extend(own.clone());
        let rule: RuleSpec = typed(keys)?;
        self.check_used(prefix, &own, &rule)?;
        self.check(prefix, &rule)?;
        Ok(rule)
    }

    /// Refuses a key that has no effect on the rule: the rule has no field of that name.
    fn check_used(&self, prefix: &str, own: &Table, rule: &RuleSpec) -> Result<(), ConfigError> {
        let said = table(rule)?;
        let unused = |key: &str| own.contains_key(key) && !said.contains_key(key);
        let Some(key) = keys::of_loss(prefix).into_iter().find(|key| unused(key.name())) else {
            return Ok(());
        };
        let (signs, product) = (Name::SignSymmetry, Name::ProductFeedbackAlignment);
        let why = match rule {
            RuleSpec::Backprop => {
                format!("cannot go with the rule backprop, whose B is W itself: set '{prefix}.name' too")
            }
            RuleSpec::SignSymmetry { .. } => {
                format!("cannot go with the rule {signs}, whose B has no loss: leave it out")
            }
            RuleSpec::Product(_) => {
                format!("cannot go with the rule {product}, whose R takes the steps of BᵀW: leave it out")
            }
            RuleSpec::Learned { .. } if key.name() == "ratio" => {
                format!("belongs to the rule {product}: leave it out")
            }
            RuleSpec::Learned { .. } if key.name() == "magnitude" => {
                format!("belongs to the rule {signs}: leave it out")
            }
            RuleSpec::Learned { .. } => format!("says nothing unless '{prefix}.input' is \"noise\""),
        };
        Err(self.refuse(&key.path, &why))
    }

    /// The refusal of the key `path`. A key that follows from the rule's name may not be set.
    fn refuse(&self, path: &str, why: &str) -> ConfigError {
        let place = self.tree.origin(path).map_or("by default".into(), |_| self.tree.place(path));
        ConfigError::new(format!("'{path}' {place} {why}"))
    }
}

/// The fields of `value` as a table.
fn table(value: &impl Serialize) -> Result<Table, ConfigError> {
    Table::try_from(value).map_err(|why| ConfigError::new(why.to_string()))
}

/// A checked value, converted to its type.
fn typed<T: for<'de> serde::Deserialize<'de>>(value: impl Into<Value>) -> Result<T, ConfigError> {
    value.into().try_into().map_err(|why: toml::de::Error| ConfigError::new(why.message()))
}
