//! `[rule]` and `[rule.layers.LAYER]`: how B learns, in every layer and in some.

use std::collections::BTreeMap;

use proto::optimizer::Schedule;
use proto::rule::{Alignment, Centering, Coefficients, Magnitude, Mirror, Noise, RuleSpec, Transfer};
use toml::Value;

use super::allowed::number;
use super::check::boundaries;
use super::optimizer::{Course, Method, Optimizer, schedule};
use super::tree::Tree;
use super::{ConfigError, keys};
use crate::rule::{self, CUSTOM, KOLEN_POLLACK, SIGN_SYMMETRY, Surroundings};

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
/// The keys of mirror steps.
const MIRROR: [&str; 5] = ["noise", "noise_sigma", "noise_batch", "mirror_every", "mirror_delay"];

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
        let reader = Reader { tree, w, b, around, smallest, course: course.clone() };
        let all = reader.rule("rule", &RuleSpec::Backprop)?;
        let names = tree.paths().filter_map(|path| keys::own_rule(path).map(|(layer, _)| layer.to_owned()));
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

/// Reads one rule out of the keys below it.
struct Reader<'a> {
    tree: &'a Tree,
    w: &'a Optimizer,
    b: &'a Optimizer,
    around: Surroundings,
    smallest: u32,
    course: RuleCourse,
}

impl Reader<'_> {
    fn rule(&self, prefix: &str, inherited: &RuleSpec) -> Result<RuleSpec, ConfigError> {
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
    fn refuse(&self, path: &str, why: &str) -> ConfigError {
        let place = self.tree.origin(path).map_or("by default".into(), |_| self.tree.place(path));
        ConfigError::new(format!("'{path}' {place} {why}"))
    }

    fn check(&self, prefix: &str, rule: &RuleSpec) -> Result<(), ConfigError> {
        let RuleSpec::Learned { name, task, coefficients, alignment } = rule else { return Ok(()) };
        if name == CUSTOM && !task && *coefficients == Coefficients::default() {
            let why = "is \"custom\", which needs a coefficient other than 0 (amp, null, sparse, self or decay) or \
                       task = true";
            return Err(self.refuse(&format!("{prefix}.name"), why));
        }
        self.check_fed(prefix, *task, coefficients, alignment)?;
        if name == KOLEN_POLLACK { self.check_kolen_pollack(prefix, *task, coefficients) } else { Ok(()) }
    }

    /// Options that change something, and mirror steps of which something is learned.
    fn check_fed(
        &self,
        prefix: &str,
        task: bool,
        c: &Coefficients,
        alignment: &Alignment,
    ) -> Result<(), ConfigError> {
        let refuse = |key: &str, why: &str| Err(self.refuse(&format!("{prefix}.{key}"), why));
        let Alignment { centering, transfer, update_noise, mirror, .. } = alignment;
        let fed = [
            ("input", mirror.is_some(), "is \"noise\""),
            ("centering", *centering != Centering::None, "says what is taken off x"),
            ("activation", *transfer != Transfer::Identity, "is put on y and z"),
        ];
        if !c.use_samples() {
            if let Some((key, _, what)) = fed.iter().find(|(_, set, _)| *set) {
                let why = format!(
                    "{what}, of which only amp, null and sparse learn: give one of them a coefficient"
                );
                return refuse(key, &why);
            }
            if *update_noise != 0.0 && !task && *c == Coefficients::default() {
                return refuse("update_noise", "is noise on the steps of B, which takes none: leave it out");
            }
        }
        let samples = mirror.map_or(self.smallest, |mirror| mirror.batch);
        if *centering == Centering::Batch && samples < 2 {
            return refuse(
                "centering",
                "is \"batch\", which leaves nothing of a single sample: set fewer 'pipeline.microbatches', or with \
                 noise a larger 'noise_batch'",
            );
        }
        mirror.map_or(Ok(()), |mirror| self.check_mirror(prefix, task, &mirror))
    }

    /// Mirror steps that happen, and that Adam can count.
    fn check_mirror(&self, prefix: &str, task: bool, mirror: &Mirror) -> Result<(), ConfigError> {
        if mirror.every == 0 && mirror.delay == 0 {
            let why = format!(
                "is 0, and so is '{prefix}.mirror_delay', so that B would never learn: set one of them"
            );
            return Err(self.refuse(&format!("{prefix}.mirror_every"), &why));
        }
        if self.b.name == Method::Adam && (mirror.every != 1 || mirror.delay > 0 || task) {
            let why = "is \"noise\", and Adam, which counts B's steps by those of W, needs one mirror step for each: \
                       set 'mirror_every' to 1, 'mirror_delay' to 0 and 'task' to false, or 'optimizer_b.name' to \"sgd\"";
            return Err(self.refuse(&format!("{prefix}.input"), why));
        }
        Ok(())
    }

    /// ‖W − B‖ shrinks only if W and B take the same steps, of the same gradient, with the same decay.
    fn check_kolen_pollack(&self, prefix: &str, task: bool, c: &Coefficients) -> Result<(), ConfigError> {
        let decay = c.decay;
        let others = [("amp", c.amp), ("null", c.null), ("sparse", c.sparse), ("self", c.self_)];
        if let Some((key, value)) = others.iter().find(|(_, value)| *value != 0.0) {
            let why = format!(
                "is {value}, but kolen_pollack has no such term: leave it out, or call the rule \"custom\""
            );
            return Err(self.refuse(&format!("{prefix}.{key}"), &why));
        }
        let matched = rule::matched_decay(self.w.weight_decay);
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
        } else if self.course != RuleCourse::default() {
            "'rule.schedule' and its keys must be left out, since W's decay has no such course".to_owned()
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
