//! `sweep.toml`: the settings to try, and the method. The file is checked like the configuration of a run.

use super::median::Stop;
use super::names;
use super::primitives::Primitives;
use super::range::Range;
use super::score::Objective;
use crate::config::{self, ConfigError};
use proto::disk::cannot;
use proto::spec::rule::Primitive;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The most trials of a sweep.
pub const MAX_TRIALS: usize = 10_000;
/// The most trials at once.
const MAX_PARALLEL: usize = 64;

/// The method by which the next trial is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every combination of the values.
    Grid,
    /// Even draws.
    Random,
    /// Draws near settings with good results: see [`super::tpe`].
    Tpe,
}

/// A case: named settings, which are tried together with the whole space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name in the table.
    pub name: String,
    /// The settings of the case.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
}

/// A sweep, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The sweep's name, and that of its folder.
    #[serde(default)]
    pub name: String,
    /// The configuration from which every trial starts; a relative path is relative to the sweep's file.
    pub base: PathBuf,
    /// The method by which trials are chosen.
    pub method: Method,
    /// The number of trials; with a grid and with `[primitives]` it follows from them.
    pub trials: Option<usize>,
    /// The seed of every draw of the sweep.
    #[serde(default)]
    pub seed: u64,
    /// The measure by which trials are compared.
    #[serde(default)]
    pub objective: Objective,
    /// The number of trials that TPE draws evenly before it looks at results.
    #[serde(default = "startup_trials")]
    pub startup_trials: usize,
    /// The number of trials that run at once.
    #[serde(default = "one")]
    pub parallel: usize,
    /// The cores that the concurrent trials share; they decide each node's threads.
    pub cores: Option<usize>,
    /// Settings that all trials share.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// The keys to try, with their ranges.
    #[serde(default)]
    pub space: BTreeMap<String, Range>,
    /// The named cases.
    #[serde(default, rename = "case", skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// The matrix of the five primitives.
    pub primitives: Option<Primitives>,
    /// Early stopping.
    pub stop: Option<Stop>,
}

fn startup_trials() -> usize {
    5
}

fn one() -> usize {
    1
}

impl Spec {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The first fault, in one sentence.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = config::read_file(path)
            .map_err(|error| ConfigError::new(cannot("cannot read the sweep", path, &error, "")))?;
        let mut spec = Self::parse(&text, &file)?;
        if spec.name.is_empty() {
            spec.name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("sweep").to_owned();
        }
        spec.base = path.parent().unwrap_or(Path::new("")).join(&spec.base);
        Ok(spec)
    }

    /// Parses the sweep in `text`; messages call the text `file`.
    ///
    /// # Errors
    /// The first fault, in one sentence.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let mut table: Table = config::read_toml(text, file)?;
        names::bring_into_form(&mut table, config::keys_of_table::<Spec>(), file)?;
        names::word(&table, "method", config::words::<Method>(), file)?;
        names::word(&table, "objective", config::words::<Objective>(), file)?;
        let spec: Spec = Value::Table(table)
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::new(format!("{file}: {error}")))?;
        spec.check(file)?;
        Ok(spec)
    }

    /// Checks combinations of keys.
    ///
    /// # Errors
    /// The first fault; messages call the source `file`.
    pub fn check(&self, file: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, why: &str| Err(ConfigError::new(format!("'{key}' in {file} {why}")));
        self.check_space(file)?;
        if self.space.is_empty() && self.primitives.is_none() && self.cases.is_empty() {
            return refuse(
                "space",
                "is empty, and there is no [[case]] and no [primitives]: name a key to try",
            );
        }
        if self.primitives.as_ref().is_some_and(|primitives| primitives.subsets().is_empty()) {
            let all = (1 << Primitive::COUNT) - 1;
            let why = format!("is empty: name a combination, or leave it out to try all {all}");
            return refuse("primitives.subsets", &why);
        }
        if self.primitives.is_some() && !self.cases.is_empty() {
            return refuse("case", "does not go with [primitives]: each needs a sweep of its own");
        }
        let budget = match &self.primitives {
            Some(_) if self.trials.is_some() => {
                return refuse(
                    "trials",
                    "does not go with [primitives]: give 'primitives.trials_per_subset'",
                );
            }
            Some(primitives) => ("primitives.trials_per_subset", primitives.trials_per_subset),
            None => ("trials", self.trials),
        };
        match (self.method, budget.1) {
            (Method::Grid, Some(_)) => {
                refuse(budget.0, "does not go with a grid, which tries every combination")
            }
            (Method::Random | Method::Tpe, None) => {
                refuse(budget.0, "is missing: say how many there shall be")
            }
            (_, Some(0)) => refuse(budget.0, "is 0: it must be at least 1"),
            _ if !(1..=MAX_PARALLEL).contains(&self.parallel) => refuse("parallel", "must be from 1 to 64"),
            _ if self.cores.is_some_and(|cores| cores < self.parallel) => {
                refuse("cores", &format!("is less than 'parallel', {}: each trial needs one", self.parallel))
            }
            _ if self.stop.as_ref().is_some_and(|stop| {
                stop.after_steps == 0 || stop.every_steps == 0 || stop.after_trials == 0
            }) =>
            {
                refuse("stop", "has a 0: steps and trials must be at least 1")
            }
            _ => Ok(()),
        }
    }

    /// Checks the names of the keys in `[set]`, `[space]` and the cases, and every value or bound.
    fn check_space(&self, file: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, why: &str| Err(ConfigError::new(format!("'{key}' in {file} {why}")));
        let owned = |key: &str| {
            let own = key.strip_prefix("rule.");
            let own = own.is_some_and(|key| key == "name" || Primitive::named(key).is_some());
            self.primitives.is_some() && own
        };
        if let Some(key) = self.set.keys().chain(self.space.keys()).find(|key| owned(key)) {
            return refuse(key, "is what [primitives] sets: leave it out");
        }
        let of_sweep =
            |key: &&String| !config::is_key(key) && config::keys_of_table::<Spec>().contains(&key.as_str());
        if let Some(key) = self.set.keys().chain(self.space.keys()).find(of_sweep) {
            return refuse(key, "is a key of the sweep: write it above the first table");
        }
        if let Some(key) = self.set.keys().find(|key| self.space.contains_key(*key)) {
            return refuse(key, "stands in [set] and in [space]: choose");
        }
        for (number, case) in self.cases.iter().enumerate() {
            let name = &case.name;
            let elsewhere = |key: &&String| self.set.contains_key(*key) || self.space.contains_key(*key);
            if let Some(key) = case.set.keys().find(elsewhere) {
                return refuse(key, &format!("stands in the case '{name}' and in [set] or [space]: choose"));
            }
            if self.cases[..number].iter().any(|other| other.name == *name) {
                return Err(ConfigError::new(format!("two cases in {file} are called '{name}'")));
            }
            config::check_keys(case.set.clone().into_iter().collect(), file)?;
        }
        config::check_keys(self.set.clone().into_iter().collect(), file)?;
        for (key, range) in &self.space {
            let whole = config::is_whole(key);
            if let Some(why) = range.fault(whole, self.method == Method::Grid) {
                return refuse(key, &why);
            }
            let ends = match range {
                Range::Values(values) => values.clone(),
                Range::Span { .. } => vec![range.value(0.0, whole), range.value(1.0, whole)],
            };
            for end in ends {
                config::check_keys(Table::from_iter([(key.clone(), end)]), file)?;
            }
        }
        Ok(())
    }

    /// Early stopping, if it is on.
    pub fn stopping(&self) -> Option<&Stop> {
        self.stop.as_ref().filter(|stop| stop.median)
    }

    /// Whether a trial depends on earlier trials.
    pub fn looks_back(&self) -> bool {
        self.method == Method::Tpe || self.stopping().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"
base = "fashion.toml"
method = "tpe"
trials = 12
[set]
train.epochs = 1
[space]
"optimizer.lr" = { low = 0.01, high = 1.0, scale = "log" }
rule.amp = { values = [0.1, 0.2] }
"#;

    #[test]
    fn a_sweep_is_read_and_written_as_itself() {
        let spec = Spec::parse(SPEC, "sweep.toml").unwrap();
        assert_eq!(spec.set["train.epochs"], Value::Integer(1));
        assert_eq!(spec.space["rule.amp"], Range::Values(vec![0.1.into(), 0.2.into()]));
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(Spec::parse(&text, "sweep.toml").unwrap(), spec, "{text}");
        let matrix = "base = \"b\"\nmethod = \"grid\"\n[primitives]\nsubsets = [[\"self\"]]\nself = { values = [1.0] }\n[stop]";
        let matrix = Spec::parse(matrix, "sweep.toml").unwrap();
        let text = toml::to_string(&matrix).unwrap();
        assert_eq!(Spec::parse(&text, "sweep.toml").unwrap(), matrix, "{text}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        let cases = [
            (("trials", "trails"), "unknown key 'trails' in sweep.toml: did you mean 'trials'?"),
            (("low", "lo"), "unknown key 'space.optimizer.lr.lo' in sweep.toml: did you mean 'low'?"),
            (("optimizer.lr", "optimizer.lrr"), "did you mean 'optimizer.lr'?"),
            (("train.epochs = 1", "train.epochs = 0"), "'train.epochs' in sweep.toml is 0"),
            (("train.epochs", "rule.amp"), "'rule.amp' in sweep.toml stands in [set] and in [space]"),
            (("0.01", "-0.01"), "low = -0.01 must be above 0"),
            (("[0.1, 0.2]", "[0.1, \"much\"]"), "'rule.amp' in sweep.toml is \"much\""),
            (("trials = 12", ""), "'trials' in sweep.toml is missing"),
            (("trials = 12", "trials = \"many\""), "trials"),
            (("tpe", "grid"), "'trials' in sweep.toml does not go with a grid"),
            (
                ("tpe", "best"),
                "'method' in sweep.toml is \"best\": it must be \"grid\", \"random\" or \"tpe\"",
            ),
            (("tpe", "bayesian"), "; did you mean \"tpe\"?"),
            (
                ("\"log\"", "\"loguniform\""),
                "'scale' in sweep.toml is \"loguniform\": it must be \"linear\" or \"log\"; did you mean \"log\"?",
            ),
            (
                ("trials = 12", "n_trials = 12"),
                "unknown key 'n_trials' in sweep.toml: did you mean 'trials'?",
            ),
            (
                ("trials = 12", "trials = 12\nepochs = 3"),
                "unknown key 'epochs' in sweep.toml: did you mean 'train.epochs', below [set] or, with a range, below [space]?",
            ),
            (
                ("trials = 12", "trials = 12\nbs = 3"),
                "unknown key 'bs' in sweep.toml: did you mean 'train.batch', below [set] or, with a range, below [space]?",
            ),
            (
                ("[set]", "[train]\nbatch = 3\n[set]"),
                "unknown key 'train' in sweep.toml: the keys of the configuration stand below [set] or, with a range, below [space]",
            ),
            (
                ("trials = 12", "trials = 12\nfoo = 3"),
                "unknown key 'foo' in sweep.toml: there are name, base, method, trials, seed, objective, ",
            ),
            (
                ("train.epochs = 1", "train.epochs = 1\nparallel = 2"),
                "'parallel' in sweep.toml is a key of the sweep: write it above the first table",
            ),
            (
                ("train.epochs = 1", "train.num_epochs = 1"),
                "unknown key 'train.num_epochs' in sweep.toml: did you mean 'train.epochs'?",
            ),
            (
                ("low = 0.01, high = 1.0, scale = \"log\"", "min = 0.01, max = 1.0"),
                "unknown key 'space.optimizer.lr.max' in sweep.toml: did you mean 'high'?",
            ),
            (
                ("\"optimizer.lr\"", "\"optimizer.learning_rate\""),
                "unknown key 'optimizer.learning_rate' in sweep.toml: did you mean 'optimizer.lr'?",
            ),
            (("method = \"tpe\"", ""), "'method' in sweep.toml is missing"),
            (
                ("{ values = [0.1, 0.2] }", "[0.1, 0.2]"),
                "'space.rule.amp' in sweep.toml is [0.1, 0.2]: it must be",
            ),
            (
                ("train.epochs = 1\n[space]", "[space]\ntrain.batch = { low = 8.2, high = 8.8 }"),
                "there is none from",
            ),
            (
                ("rule.amp = { values = [0.1, 0.2] }", "[primitives]\nsubsets = []"),
                "'primitives.subsets' in sweep.toml is",
            ),
            (("[set]", "[primitives]\ntrials_per_subset = 1\n[set]"), "'rule.amp' in sweep.toml is what"),
            (("[set]", "cores = 1\nparallel = 2\n[set]"), "'cores' in sweep.toml is less"),
            (("[set]", "[[case]]\nname = \"a\"\nset.train.epochs = 2\n[set]"), "the case 'a' and in [set]"),
            (("[set]", "[[case]]\nname = \"a\"\n[[case]]\nname = \"a\"\n[set]"), "are called 'a'"),
            (("[set]", "[[case]]\nname = \"a\"\nset.rule.nam = \"x\"\n[set]"), "did you mean 'rule.name'?"),
            (("[set]", "stop = { every_steps = 0 }\n[set]"), "'stop' in sweep.toml has a 0"),
        ];
        for ((from, to), said) in cases {
            let why = Spec::parse(&SPEC.replacen(from, to, 1), "sweep.toml").unwrap_err().to_string();
            assert!(why.contains(said) && !why.contains('\n'), "{to}: {why}");
        }
    }
}
