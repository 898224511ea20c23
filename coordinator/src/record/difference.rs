//! The keys in which a resumed run's configuration differs from the one that it began with.

use crate::config::{Config, ConfigError, Devices, kind_of_device};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Value;

/// The keys that decide no bit of a run: places, measurements, deadlines, and the order of a lane's actions. A name
/// that ends in a dot is a table. Where data are does not count, since the mark of the data does. Every other key
/// decides bits, a new one too.
const FREE: [&str; 18] = [
    "pipeline.schedule",
    "pipeline.ahead",
    "pipeline.recompute",
    "data.path",
    "data.test_limit",
    "data.train",
    "data.test",
    "data.test_labels",
    "data.test_numbering",
    "data.synsets",
    "data.max_broken",
    "data.workers",
    "data.prefetch",
    "snapshot.",
    "metrics.",
    "alarm.",
    "network.connect_deadline",
    "network.message_deadline",
];
/// The keys that decide where a run ends.
const END: [&str; 2] = ["train.epochs", "train.max_steps"];

/// A key that two configurations set differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The dotted name of the key.
    pub key: String,
    /// The value in the configuration at hand; `None` where the key is not set.
    pub here: Option<Value>,
    /// The value in the configuration that the run began with.
    pub there: Option<Value>,
}

impl Difference {
    /// The first key by which a run that began with `began` would be another run under `now`. Where the run ends does
    /// not count.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn of_run(began: &Config, now: &Config) -> Result<Option<Self>, ConfigError> {
        let is = |key: &str, free: &str| key == free || free.ends_with('.') && key.starts_with(free);
        let free = |key: &str| END.contains(&key) || FREE.iter().any(|free| is(key, free));
        Ok(Self::all(began, now)?.into_iter().find(|difference| !free(&difference.key)))
    }

    /// The first key that moves the end of the run.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn of_end(began: &Config, now: &Config) -> Result<Option<Self>, ConfigError> {
        Ok(Self::all(began, now)?.into_iter().find(|difference| END.contains(&difference.key.as_str())))
    }

    /// All differences; names of models, rules and methods come first, since other keys depend on them.
    fn all(began: &Config, now: &Config) -> Result<Vec<Self>, ConfigError> {
        let (mut there, here) = (flat(began)?, flat(now)?);
        let mut all = Vec::new();
        for (key, here) in here {
            let there = there.remove(&key);
            if there.as_ref() != Some(&here) {
                all.push(Self { key, here: Some(here), there });
            }
        }
        all.extend(there.into_iter().map(|(key, there)| Self { key, here: None, there: Some(there) }));
        all.sort_by(|a, b| (!a.is_name(), &a.key).cmp(&(!b.is_name(), &b.key)));
        Ok(all)
    }

    fn is_name(&self) -> bool {
        self.key.ends_with(".name") && !self.key.starts_with("layer[")
    }

    /// `'KEY' is HERE here and THERE in FILE`.
    pub fn told(&self, file: &Path) -> String {
        let value =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), Value::to_string);
        format!(
            "'{}' is {} here and {} in {}",
            self.key,
            value(&self.here),
            value(&self.there),
            file.display()
        )
    }
}

/// The values of a resolved configuration by their dotted keys; the third layer's keys are `layer[3].…`. Of devices the
/// kinds count: a run may move to another GPU.
fn flat(config: &Config) -> Result<BTreeMap<String, Value>, ConfigError> {
    let mut config = config.clone();
    let kinds = match &config.node.device {
        Devices::All(device) => vec![kind_of_device(device).to_owned()],
        Devices::InTurn(devices) => devices.iter().map(|device| kind_of_device(device).to_owned()).collect(),
    };
    config.node.device = match kinds.first() {
        Some(first) if kinds.iter().all(|kind| kind == first) => Devices::All(first.clone()),
        _ => Devices::InTurn(kinds),
    };
    let mut flat = BTreeMap::new();
    flatten(String::new(), Value::Table(config.to_table()?), &mut flat);
    Ok(flat)
}

fn flatten(path: String, value: Value, flat: &mut BTreeMap<String, Value>) {
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
            ("node.threads=2", Some("'node.threads' is 2 here and 1 in f")),
            ("node.precision=bf16", Some("'node.precision' is \"bf16\" here and \"f32\" in f")),
            ("node.device=cuda:1", Some("'node.device' is \"cuda\" here and \"cpu\" in f")),
            ("node.device=[\"cpu\",\"cpu\"]", None),
            ("node.deterministic=true", Some("'node.deterministic' is true here and false in f")),
            ("network.wire=bf16", Some("'network.wire' is \"bf16\" here and \"f32\" in f")),
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
    fn a_run_goes_on_with_the_hosts_of_w_and_b_that_it_began_with() {
        let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/small.toml"));
        let config = |placement: &str| {
            let sets = ["rule.name=feedback_alignment".into(), format!("pipeline.placement={placement}")];
            config::load(example, &sets, &Environment::empty()).unwrap()
        };
        let told = |began: &str, now: &str| {
            let found = Difference::of_run(&config(began), &config(now)).unwrap();
            found.map(|difference| difference.told(Path::new("f"))).unwrap_or_default()
        };
        let list = "[\"hidden1\"]";
        assert_eq!(told("together", "split"), "'pipeline.placement' is \"split\" here and \"together\" in f");
        assert_eq!(told("split", list), "'pipeline.placement' is [\"hidden1\"] here and \"split\" in f");
        assert!(["together", "split", list].iter().all(|placement| told(placement, placement).is_empty()));
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

    #[test]
    fn the_free_keys_are_keys() {
        let reference = config::reference();
        for key in FREE.iter().chain(&END) {
            assert!(reference.contains(&format!("`{key}")), "{key}");
        }
    }
}
