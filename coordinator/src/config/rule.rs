//! `[rule]` and `[rule.layers.LAYER]`: how B learns, in every layer and in some.

use std::collections::BTreeMap;

use proto::rule::{Coefficients, RuleSpec};

use super::optimizer::{Method, Optimizer};
use super::tree::Tree;
use super::{ConfigError, keys};

/// Every name that `rule.name` can have.
pub(super) const NAMES: &[&str] = &[
    "backprop",
    "feedback_alignment",
    "symmetric_alignment",
    KOLEN_POLLACK,
    "weight_mirror",
    "information_alignment",
    "activation_alignment",
    CUSTOM,
];
const KOLEN_POLLACK: &str = "kolen_pollack";
const CUSTOM: &str = "custom";
/// The keys of the primitives' coefficients.
pub(super) const PRIMITIVES: [&str; 5] = ["amp", "null", "sparse", "self", "decay"];

/// How B learns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// In every layer that has no rule of its own.
    pub all: RuleSpec,
    /// In these layers.
    pub layers: BTreeMap<String, RuleSpec>,
}

impl Rule {
    /// The rule of the layer of this name.
    pub fn of(&self, layer: &str) -> &RuleSpec {
        self.layers.get(layer).unwrap_or(&self.all)
    }

    /// The rules that `tree` (the keys below `rule`) names, for these optimizers of W and B.
    pub(super) fn resolve(tree: &Tree, w: &Optimizer, b: &Optimizer) -> Result<Self, ConfigError> {
        let reader = Reader { tree, w, b };
        let all = reader.rule("rule", &defaults("backprop", w))?;
        let names = tree.paths().filter_map(|path| keys::own_rule(path).map(|(layer, _)| layer.to_owned()));
        let own =
            |layer: String| reader.rule(&format!("rule.layers.{layer}"), &all).map(|rule| (layer, rule));
        let layers = names.map(own).collect::<Result<_, _>>()?;
        Ok(Rule { all, layers })
    }
}

/// A named rule with its default coefficients: those of the paper's code, and, for Kolen-Pollack, the decay
/// that matches W's weight decay λ: λB is the gradient of λ/2 ΣB².
fn defaults(name: &str, w: &Optimizer) -> RuleSpec {
    let none = Coefficients::default();
    let (task, coefficients) = match name {
        "backprop" => return RuleSpec::Backprop,
        "symmetric_alignment" => (false, Coefficients { self_: 2e-3, decay: 1e-3, ..none }),
        "weight_mirror" => (false, Coefficients { amp: 1e-3, decay: 1e-3, ..none }),
        "information_alignment" => (false, Coefficients { amp: 2e-3, null: 1e-3, decay: 1e-3, ..none }),
        "activation_alignment" => (false, Coefficients { amp: 2e-3, sparse: 1e-3, ..none }),
        KOLEN_POLLACK => (true, Coefficients { decay: w.weight_decay / 2.0, ..none }),
        _ => (false, none),
    };
    RuleSpec::Learned { name: name.to_owned(), task, coefficients }
}

/// Reads one rule out of the keys below it.
struct Reader<'a> {
    tree: &'a Tree,
    w: &'a Optimizer,
    b: &'a Optimizer,
}

impl Reader<'_> {
    fn rule(&self, prefix: &str, inherited: &RuleSpec) -> Result<RuleSpec, ConfigError> {
        let name = self.tree.text(&format!("{prefix}.name"));
        let mut rule = name.map_or_else(|| inherited.clone(), |name| defaults(name, self.w));
        for key in PRIMITIVES.iter().chain(&["task"]) {
            let path = format!("{prefix}.{key}");
            let Some(value) = self.tree.get(&path) else { continue };
            match &mut rule {
                RuleSpec::Backprop => {
                    let why = format!(
                        "cannot go with the rule backprop, whose B is W itself: set '{prefix}.name' too"
                    );
                    return Err(self.refuse(&path, &why));
                }
                RuleSpec::Learned { task, .. } if *key == "task" => *task = value.as_bool() == Some(true),
                RuleSpec::Learned { coefficients, .. } => {
                    *coefficient(coefficients, key) = self.tree.number(&path).unwrap_or(0.0);
                }
            }
        }
        self.check(prefix, &rule)?;
        Ok(rule)
    }

    fn refuse(&self, path: &str, why: &str) -> ConfigError {
        ConfigError::new(format!("'{path}' {} {why}", self.tree.place(path)))
    }

    fn check(&self, prefix: &str, rule: &RuleSpec) -> Result<(), ConfigError> {
        let RuleSpec::Learned { name, task, coefficients } = rule else { return Ok(()) };
        if name == CUSTOM && !task && *coefficients == Coefficients::default() {
            let why = "is \"custom\", which needs a coefficient other than 0 (amp, null, sparse, self or decay) or \
                       task = true";
            return Err(self.refuse(&format!("{prefix}.name"), why));
        }
        if name == KOLEN_POLLACK {
            self.check_kolen_pollack(prefix, *task, coefficients.decay)
        } else {
            Ok(())
        }
    }

    /// ‖W − B‖ shrinks only if W and B take the same steps, of the same gradient, with the same decay.
    fn check_kolen_pollack(&self, prefix: &str, task: bool, decay: f64) -> Result<(), ConfigError> {
        let matched = self.w.weight_decay / 2.0;
        if !task {
            return Err(self
                .refuse(&format!("{prefix}.task"), "is false, but kolen_pollack is the task gradient on B"));
        }
        if (decay - matched).abs() > 1e-12 * matched {
            let why = format!(
                "is {decay}, but kolen_pollack needs half of optimizer.weight_decay, {matched}: leave it out or set that"
            );
            return Err(self.refuse(&format!("{prefix}.decay"), &why));
        }
        let wrong = if self.w.name != Method::Sgd {
            "'optimizer.name' must be \"sgd\"".to_owned()
        } else if let Some(key) = self.w.difference(self.b) {
            format!("'optimizer_b.{key}' must be the same as 'optimizer.{key}'")
        } else if self.b.weight_decay != 0.0 {
            format!(
                "'optimizer_b.weight_decay' must be 0, not {}: the rule itself decays B",
                self.b.weight_decay
            )
        } else {
            return Ok(());
        };
        let name = format!("{prefix}.name");
        Err(self.refuse(
            &name,
            &format!("is \"{KOLEN_POLLACK}\", which lets W and B take the same steps: {wrong}"),
        ))
    }
}

/// The coefficient that a key names.
fn coefficient<'a>(coefficients: &'a mut Coefficients, key: &str) -> &'a mut f64 {
    match key {
        "amp" => &mut coefficients.amp,
        "null" => &mut coefficients.null,
        "sparse" => &mut coefficients.sparse,
        "self" => &mut coefficients.self_,
        _ => &mut coefficients.decay,
    }
}
