//! The settings of a run by their dotted keys, and which of them tell runs apart.

use crate::config::{self, Environment};
use crate::record::{flat, flatten, is_free};
use crate::report::Run;
use proto::spec::begin::Begin;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The values of a configuration as words, by their dotted keys.
pub type Settings = BTreeMap<String, String>;

/// The key of the seed, which tells the runs of one case apart.
const SEED: &str = "seed";
/// The run of which a run took the state to begin from: each seed may have its own. For files of weights it is the name
/// of their bytes and of the B in place of theirs, which are the same for all seeds of a case.
const BEGIN_RUN: &str = "begin.run";
/// Whether a run began from files, or else from which step of another run.
const BEGIN_FROM: &str = "begin.from";
/// The value of [`BEGIN_FROM`] for files.
const WEIGHTS: &str = "weights";

/// The key of the schedule, and its value for which the cut and the drains decide numbers.
const SCHEDULE: &str = "pipeline.schedule";
const ASYNCHRONOUS: &str = "asynchronous";

/// The settings of a run without its seed, and what it began from. Keys that an older release did not know have their
/// defaults. A configuration that this release does not understand counts by its words.
pub fn of_run(run: &Run) -> Settings {
    let values = values(&run.config_toml);
    let words = values.into_iter().filter(|(key, _)| key != SEED).map(|(key, value)| (key, plain(&value)));
    words.chain(run.begin.iter().flat_map(beginning)).collect()
}

/// The beginning of a run, as settings: `begin.from` is `weights` or `step N`.
fn beginning(begin: &Begin) -> Vec<(String, String)> {
    let Begin { run, updates, optimizer, backward_is_weight } = begin;
    let from = if *updates == 0 { WEIGHTS.to_owned() } else { format!("step {updates}") };
    let mut settings = vec![(BEGIN_RUN, run.chars().take(8).collect()), (BEGIN_FROM, from)];
    settings.extend(optimizer.then(|| ("begin.optimizer", "true".to_owned())));
    settings.extend(backward_is_weight.then(|| ("begin.backward", "weight".to_owned())));
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The seed of a run, from its configuration where its summary has none.
pub fn seed(run: &Run) -> Option<u64> {
    let configured = || values(&run.config_toml).get(SEED)?.as_integer()?.try_into().ok();
    run.summary.seed.or_else(configured)
}

/// Whether the schedule of a run is asynchronous.
pub fn is_asynchronous(settings: &Settings) -> bool {
    settings.get(SCHEDULE).is_some_and(|schedule| schedule == ASYNCHRONOUS)
}

/// Those of the settings that decide the numbers of a run, or of one among runs of which some are `asynchronous`.
pub fn deciding(settings: &Settings, asynchronous: bool) -> Settings {
    let of_files = settings.get(BEGIN_FROM).is_some_and(|from| from == WEIGHTS);
    let decides =
        |(key, _): &(&String, &String)| !is_free(key, asynchronous) && (of_files || *key != BEGIN_RUN);
    settings.iter().filter(decides).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether a setting is one of a single layer: networks that differ have many of them.
pub fn is_of_layer(key: &str) -> bool {
    key.starts_with("layer[") || key.starts_with("rule.layers.")
}

fn values(text: &str) -> BTreeMap<String, Value> {
    let understood = config::parse(text, "config.toml", &[], &Environment::empty());
    understood.and_then(|config| flat(&config)).unwrap_or_else(|_| {
        let mut values = BTreeMap::new();
        flatten(String::new(), Value::Table(text.parse::<Table>().unwrap_or_default()), &mut values);
        values
    })
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(number) if *number != 0.0 && !(1e-3..1e6).contains(&number.abs()) => {
            format!("{number:e}")
        }
        value => value.to_string(),
    }
}
