//! Reading one rule: its name, and the keys that change what the name says.

use proto::spec::rule::{Alignment, Coefficients, RuleSpec};
use toml::Value;

use super::{CENTERINGS, MAGNITUDES, NOISES, PRIMITIVES, RuleCourse, TRANSFERS, word};
use crate::config::ConfigError;
use crate::config::keys;
use crate::config::optimizer::Optimizer;
use crate::config::tree::Tree;
use crate::rule::{self, SIGN_SYMMETRY, Surroundings};

/// The keys of mirror steps.
const MIRROR: [&str; 5] = ["noise", "noise_sigma", "noise_batch", "mirror_every", "mirror_delay"];

/// Reads one rule out of the keys below it.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) w: &'a Optimizer,
    pub(super) b: &'a Optimizer,
    pub(super) around: Surroundings,
    pub(super) smallest: u32,
    pub(super) course: RuleCourse,
}

impl Reader<'_> {
    /// The rule whose keys begin with `prefix`, on top of an inherited one.
    pub(super) fn rule(&self, prefix: &str, inherited: &RuleSpec) -> Result<RuleSpec, ConfigError> {
        let name = self.tree.text(&format!("{prefix}.name"));
        let mut rule = name.map_or_else(|| inherited.clone(), |name| rule::named(name, self.around));
        let set = |key: &str| self.tree.get(&format!("{prefix}.{key}")).is_some();
        let of_loss = || keys::of_rule().filter(|key| !["name", "magnitude"].contains(key));
        match &mut rule {
            RuleSpec::Backprop => {
                if let Some(key) = of_loss().chain(["magnitude"]).find(|key| set(key)) {
                    let why = format!(
                        "cannot go with the rule backprop, whose B is W itself: set '{prefix}.name' too"
                    );
                    return Err(self.refuse(&format!("{prefix}.{key}"), &why));
                }
            }
            RuleSpec::SignSymmetry(magnitude) => {
                if let Some(key) = of_loss().find(|key| set(key)) {
                    let why =
                        format!("cannot go with the rule {SIGN_SYMMETRY}, whose B has no loss: leave it out");
                    return Err(self.refuse(&format!("{prefix}.{key}"), &why));
                }
                let path = format!("{prefix}.magnitude");
                *magnitude = word(self.tree, &path, &MAGNITUDES).unwrap_or(*magnitude);
            }
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                if set("magnitude") {
                    let why = format!("belongs to the rule {SIGN_SYMMETRY}: leave it out");
                    return Err(self.refuse(&format!("{prefix}.magnitude"), &why));
                }
                if let Some(value) = self.tree.get(&format!("{prefix}.task")) {
                    *task = value.as_bool() == Some(true);
                }
                for key in PRIMITIVES {
                    if let Some(value) = self.tree.number(&format!("{prefix}.{key}")) {
                        *coefficient(coefficients, key) = value;
                    }
                }
                self.alignment(prefix, alignment)?;
            }
        }
        self.check(prefix, &rule)?;
        Ok(rule)
    }

    /// How the primitives are fed.
    fn alignment(&self, prefix: &str, alignment: &mut Alignment) -> Result<(), ConfigError> {
        let path = |key: &str| format!("{prefix}.{key}");
        match self.tree.text(&path("input")) {
            Some("noise") => alignment.mirror = alignment.mirror.or(Some(rule::mirror(self.around))),
            Some(_) => alignment.mirror = None,
            None => {}
        }
        match &mut alignment.mirror {
            None => {
                if let Some(key) = MIRROR.iter().find(|key| self.tree.get(&path(key)).is_some()) {
                    let why = format!("says nothing unless '{prefix}.input' is \"noise\"");
                    return Err(self.refuse(&path(key), &why));
                }
            }
            Some(mirror) => {
                let whole = |key: &str| self.tree.get(&path(key)).and_then(Value::as_integer);
                mirror.noise = word(self.tree, &path("noise"), &NOISES).unwrap_or(mirror.noise);
                mirror.sigma = self.tree.number(&path("noise_sigma")).unwrap_or(mirror.sigma);
                mirror.batch = whole("noise_batch").map_or(mirror.batch, |n| n as u32);
                mirror.every = whole("mirror_every").map_or(mirror.every, |n| n as u64);
                mirror.delay = whole("mirror_delay").map_or(mirror.delay, |n| n as u64);
            }
        }
        let centering = word(self.tree, &path("centering"), &CENTERINGS);
        alignment.centering = centering.unwrap_or(alignment.centering);
        alignment.transfer = word(self.tree, &path("activation"), &TRANSFERS).unwrap_or(alignment.transfer);
        alignment.update_noise = self.tree.number(&path("update_noise")).unwrap_or(alignment.update_noise);
        Ok(())
    }

    /// What follows from a rule's name alone stands nowhere.
    pub(super) fn refuse(&self, path: &str, why: &str) -> ConfigError {
        let place = self.tree.origin(path).map_or("by default".into(), |_| self.tree.place(path));
        ConfigError::new(format!("'{path}' {place} {why}"))
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
