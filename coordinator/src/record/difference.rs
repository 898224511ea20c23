//! The keys in which a resumed run's configuration differs from the one that it began with.

use super::changeable::{Consequence, consequence, why_kept};
use crate::config::{Config, ConfigError, Devices, kind_of_device};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Value;

/// A key that two configurations set differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The dotted name of the key.
    pub key: String,
    /// The value in the configuration at hand; `None` where the key is not set.
    pub here: Option<Value>,
    /// The value in the configuration that the run began with.
    pub there: Option<Value>,
    /// Whether the schedule of either configuration is asynchronous.
    asynchronous: bool,
}

impl Difference {
    /// The first key by which a run that began with `began` would be another run under `now`: one that a run keeps.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn of_run(began: &Config, now: &Config) -> Result<Option<Self>, ConfigError> {
        Ok(Self::all(began, now)?.into_iter().find(|difference| difference.consequence().is_none()))
    }

    /// The first key that moves the end of the run.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn of_end(began: &Config, now: &Config) -> Result<Option<Self>, ConfigError> {
        Ok(Self::with(Consequence::End, began, now)?.into_iter().next())
    }

    /// The keys that change the numbers of the steps to come.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn of_numbers(began: &Config, now: &Config) -> Result<Vec<Self>, ConfigError> {
        Self::with(Consequence::Numbers, began, now)
    }

    /// Whether a run that began with `began` would go on under `now` as it began: in its cut, and with the numbers that
    /// it would have had. Where it ends does not count.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn is_free(began: &Config, now: &Config) -> Result<bool, ConfigError> {
        let free = |difference: &Self| {
            matches!(difference.consequence(), Some(Consequence::Nothing | Consequence::End))
        };
        Ok(Self::all(began, now)?.iter().all(free))
    }

    fn with(due: Consequence, began: &Config, now: &Config) -> Result<Vec<Self>, ConfigError> {
        let all = Self::all(began, now)?.into_iter();
        Ok(all.filter(|difference| difference.consequence() == Some(due)).collect())
    }

    fn consequence(&self) -> Option<Consequence> {
        consequence(&self.key, self.asynchronous)
    }

    /// All differences; names of models, rules and methods come first, since other keys depend on them.
    fn all(began: &Config, now: &Config) -> Result<Vec<Self>, ConfigError> {
        let (mut there, here) = (flat(began)?, flat(now)?);
        let asynchronous = began.is_asynchronous() || now.is_asynchronous();
        let mut all = Vec::new();
        for (key, here) in here {
            let there = there.remove(&key);
            if there.as_ref() != Some(&here) {
                all.push(Self { key, here: Some(here), there, asynchronous });
            }
        }
        let only_there = |(key, there)| Self { key, here: None, there: Some(there), asynchronous };
        all.extend(there.into_iter().map(only_there));
        all.sort_by(|a, b| (!a.is_name(), &a.key).cmp(&(!b.is_name(), &b.key)));
        Ok(all)
    }

    fn is_name(&self) -> bool {
        self.key.ends_with(".name") && !self.key.starts_with("layer[")
    }

    /// `'KEY' is HERE here and THERE in FILE`.
    pub fn told(&self, file: &Path) -> String {
        let (here, there) = (value(&self.here), value(&self.there));
        format!("'{}' is {here} here and {there} in {}", self.key, file.display())
    }

    /// The refusal of a resume by this key of the run in `folder`, whose configuration is `file`.
    pub fn refused(&self, file: &Path, folder: &Path) -> String {
        format!(
            "{}, and a run keeps this key, since {}: resume a run with its own configuration, or begin a new run from its state with --from {}",
            self.told(file),
            why_kept(&self.key, self.asynchronous),
            folder.display()
        )
    }

    /// The message about a key that changes the numbers of the steps to come.
    pub fn of_steps_to_come(&self) -> String {
        format!(
            "{} is {} from here on, and was {}: the steps to come differ from those of a run that kept it",
            self.key,
            value(&self.here),
            value(&self.there)
        )
    }
}

fn value(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "not set".to_owned(), Value::to_string)
}

/// The values of a resolved configuration by their dotted keys; the third layer's keys are `layer[3].…`. Of devices the
/// kinds count: a run may move to another GPU. A key that says what its absence means is not set.
///
/// # Errors
/// A value that TOML cannot hold.
pub fn flat(config: &Config) -> Result<BTreeMap<String, Value>, ConfigError> {
    let mut config = config.clone();
    let kinds = match &config.node.device {
        Devices::All(device) => vec![kind_of_device(device).to_owned()],
        Devices::InTurn(devices) => devices.iter().map(|device| kind_of_device(device).to_owned()).collect(),
    };
    config.node.device = match kinds.first() {
        Some(first) if kinds.iter().all(|kind| kind == first) => Devices::All(first.clone()),
        _ => Devices::InTurn(kinds),
    };
    config.pipeline.update_every =
        config.pipeline.update_every.filter(|k| *k != config.pipeline.microbatches);
    let mut flat = BTreeMap::new();
    flatten(String::new(), Value::Table(config.to_table()?), &mut flat);
    Ok(flat)
}

/// Adds the values in `value`, whose own key is `path`, by their dotted keys.
pub fn flatten(path: String, value: Value, flat: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            let dot = if path.is_empty() { "" } else { "." };
            table.into_iter().for_each(|(key, value)| flatten(format!("{path}{dot}{key}"), value, flat));
        }
        Value::Array(items) if items.first().is_some_and(Value::is_table) => {
            let numbered = (1..).zip(items);
            numbered.for_each(|(number, item)| flatten(format!("{path}[{number}]"), item, flat));
        }
        value => _ = flat.insert(path, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn what_decides_a_bit_must_stay_and_the_rest_may_change() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/small.toml"));
        let config = |set: &str| {
            let overrides: Vec<String> = set.split_whitespace().map(str::to_owned).collect();
            config::load(example, &overrides, &Environment::empty()).unwrap()
        };
        let began = config("");
        for (set, told) in [
            ("", None),
            ("data.path=elsewhere data.test_limit=10 network.message_deadline=9", None),
            ("pipeline.ahead=2 metrics.layers_every=3 snapshot.every_steps=4 snapshot.best=true", None),
            ("train.epochs=77 train.max_steps=5", None),
            ("seed=7", Some("'seed' is 7 here and 0 in f")),
            ("data.limit=100", Some("'data.limit' is 100 here and 10000 in f")),
            ("data.augment=true", Some("'data.augment' is true here and false in f")),
            ("data.mean=[0.25]", Some("'data.mean' is [0.25] here and not set in f")),
            ("node.threads=2 network.wire=f16 pipeline.stages=3", None),
            ("node.precision=bf16", Some("'node.precision' is \"bf16\" here and \"f32\" in f")),
            ("node.device=cuda:1", Some("'node.device' is \"cuda\" here and \"cpu\" in f")),
            ("node.device=[\"cpu\",\"cpu\"]", None),
            ("node.deterministic=true", Some("'node.deterministic' is true here and false in f")),
            ("optimizer.lr=0.5", Some("'optimizer.lr' is 0.5 here and ")),
            ("optimizer_b.lr=0.5", Some("'optimizer_b.lr' is 0.5 here and ")),
            ("rule.name=feedback_alignment", Some("'rule.")),
        ] {
            let found = Difference::of_run(&began, &config(set)).unwrap();
            let found = found.map(|difference| difference.told(Path::new("f")));
            assert_eq!(found.is_some(), told.is_some(), "{set}: {found:?}");
            assert!(found.unwrap_or_default().starts_with(told.unwrap_or_default()), "{set}");
        }
        assert_eq!(Difference::of_end(&began, &config("seed=7")).unwrap(), None);
        let longer = Difference::of_end(&began, &config("seed=7 train.max_steps=5")).unwrap().unwrap();
        assert_eq!((longer.key.as_str(), longer.there), ("train.max_steps", None));
    }

    #[test]
    fn the_keys_that_change_the_steps_to_come_are_told() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/small.toml"));
        let config = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            config::load(example, &sets, &Environment::empty()).unwrap()
        };
        let told = |sets: &[&str]| {
            let found = Difference::of_numbers(&config(&[]), &config(sets)).unwrap();
            found.iter().map(Difference::of_steps_to_come).collect::<Vec<_>>()
        };
        assert!(told(&["pipeline.stages=2", "metrics.layers_every=3", "train.epochs=9"]).is_empty());
        let due = [
            "network.wire is \"f16\" from here on, and was \"f32\": the steps to come differ from those of a run that kept it",
            "train.loss_scale is 1024.0 from here on, and was 1.0: the steps to come differ from those of a run that kept it",
        ];
        assert_eq!(told(&["network.wire=f16"]), due, "the loss scale follows the format");
        assert_eq!(told(&["node.threads=2"]).len(), 1);
        let free = |set: &str| Difference::is_free(&config(&[]), &config(&[set])).unwrap();
        assert!(free("train.epochs=9") && free("metrics.layers_every=3"));
        assert!(!free("pipeline.stages=3") && !free("network.wire=f16") && !free("node.threads=2"));
    }

    #[test]
    fn a_refusal_has_the_key_both_values_the_reason_and_the_remedy() {
        let config = |lr: &str| {
            let text = "[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 10";
            config::parse(text, "c.toml", &[format!("optimizer.lr={lr}")], &Environment::empty()).unwrap()
        };
        let found = Difference::of_run(&config("0.1"), &config("0.2")).unwrap().unwrap();
        let due = "'optimizer.lr' is 0.2 here and 0.1 in r/config.toml, and a run keeps this key, since it decides the step \
                   of every weight, and what the optimizer keeps of the steps before: resume a run with its own \
                   configuration, or begin a new run from its state with --from r";
        assert_eq!(found.refused(Path::new("r/config.toml"), Path::new("r")), due);
    }

    #[test]
    fn a_step_of_all_microbatches_is_the_same_however_it_is_said() {
        let config = |set: &str| {
            let text = "pipeline.schedule = \"asynchronous\"\npipeline.microbatches = 4\n[[layer]]\nkind = \"flatten\"\n[[layer]]\n\
                        kind = \"linear\"\nout = 10";
            config::parse(text, "c.toml", &[set.to_owned()], &Environment::empty()).unwrap()
        };
        let began = config("seed=0");
        let differs = |set: &str| Difference::of_run(&began, &config(set)).unwrap().is_some();
        assert!(!differs("pipeline.update_every=4") && differs("pipeline.update_every=2"));
    }

    #[test]
    fn a_layer_is_named_by_its_place() {
        let config = |out: u32| {
            let text = format!("[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = {out}");
            config::parse(&text, "c.toml", &[], &Environment::empty()).unwrap()
        };
        let found = Difference::of_run(&config(10), &config(12)).unwrap().unwrap();
        assert_eq!(found.told(Path::new("f")), "'layer[2].out' is 12 here and 10 in f");
    }
}
