//! The configuration of a run: a TOML file, with `--set key=value` above it, becomes a checked [`Config`].
//!
//! ```text
//! file ─┐
//! --set ┴▶ Tree ──check──▶ Tree ──defaults──▶ Config ──network([c, h, w])──▶ Network
//!          (keys, values,  (each table's      (plain fields,                 (layers with
//!           the origins)    keys and ranges)   nothing left open)             their rules)
//! ```
//!
//! The result is a function of the text, the flags and the [`Environment`]. The module uses no clock and no
//! randomness, and reads no file but that of [`load`]. Every refusal is one sentence that names the key, the value
//! found and the values allowed. `docs/configuration.md` is the reference; its tables are [`reference()`] and [`rules()`].

mod advice;
mod allowed;
mod asynchronous;
mod check;
mod data;
mod data_path;
mod device;
mod error;
mod keys;
mod layers;
mod network;
mod optimizer;
mod place;
mod reference;
mod rule;
mod schema;
mod sections;
mod split;
mod staleness;
mod step;
#[cfg(test)]
mod tests;
mod tree;
mod typed;
mod unknown;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use proto::disk::cannot;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use keys::KEYS;
use place::Place;
pub(crate) use tree::read_toml;
use tree::{Origin, Tree};

/// The default of `train.loss_scale` where error signals cross in f16, whose smallest number is 6e-8.
const F16_LOSS_SCALE: f64 = 1024.0;

/// The size limit of a file, in bytes: ten times the size of a file with the most layers.
const LONGEST: u64 = 16 << 20;

pub(crate) use advice::{Advice, advice, either};
pub(crate) use allowed::Allowed;
pub use data_path::Environment;
pub use device::Devices;
pub(crate) use device::kind as kind_of_device;
pub use error::ConfigError;
pub(crate) use keys::{is_key, is_table, is_whole};
pub use optimizer::{DecaySchedule, LearningRateSchedule, Method, Optimizer, Shape};
#[cfg(test)]
pub(crate) use reference::page;
pub use reference::{reference, rules};
pub use rule::Rule;
pub(crate) use sections::CONNECT_DEADLINE;
pub use sections::{Alarm, Data, Halves, Links, Metrics, Model, Node, Pipeline, Snapshot, Stages, Train};
pub use staleness::Staleness;
pub use step::StepSize;
pub(crate) use typed::{keys as keys_of_table, words};
pub(crate) use unknown::key_meant;

/// The configuration of a run, resolved and checked: every key has a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The name of the file, for messages.
    #[serde(skip)]
    pub file: String,
    /// The place of `pipeline.placement`, for messages.
    #[serde(skip)]
    pub(crate) placed: Place,
    /// The seed of the initial weights, the shuffle and the augmentation.
    pub seed: u64,
    /// The network.
    pub model: Model,
    /// The learning rule of B.
    #[serde(skip_deserializing)]
    pub rule: Rule,
    /// The cut into stages, and the order of microbatches.
    pub pipeline: Pipeline,
    /// The remedies for the delay of an asynchronous pipeline.
    pub staleness: Staleness,
    /// The length of the training, and the size of minibatches.
    pub train: Train,
    /// The optimizer of W, biases and norms.
    pub optimizer: Optimizer,
    /// The optimizer of B.
    pub optimizer_b: Optimizer,
    /// The data set.
    pub data: Data,
    /// How often the nodes write snapshots.
    pub snapshot: Snapshot,
    /// The measurements during the run.
    pub metrics: Metrics,
    /// The checks that end a run that goes wrong without a failure.
    pub alarm: Alarm,
    /// The settings of local nodes.
    pub node: Node,
    /// The settings of the links between processes.
    pub network: Links,
}

/// Reads the file at `path` and puts `overrides` above it: each is `key=value`, with the value in TOML or as a bare
/// word.
///
/// # Errors
/// A file that cannot be read, or an error of [`parse`].
pub fn load(path: &Path, overrides: &[String], environment: &Environment) -> Result<Config, ConfigError> {
    let file = path.display().to_string();
    let text = read_file(path)
        .map_err(|error| ConfigError::new(cannot("cannot read the configuration", path, &error, "")))?;
    parse(&text, &file, overrides, environment)
}

/// Reads a text file of at most `LONGEST` bytes.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 <= LONGEST {
        true => Ok(text),
        false => Err(io::Error::other(format!("it is longer than {} MiB", LONGEST >> 20))),
    }
}

/// Parses the configuration in `text`, as [`load`] does; messages call the text `file`.
///
/// # Errors
/// The first fault: text that isn't TOML, an unknown key (the message names the nearest valid key), a value of the
/// wrong type or out of range, or settings that contradict each other.
///
/// # Examples
/// ```
/// use coordinator::config::{Environment, parse};
/// let text = "[optimizer]\nmomentun = 0.5";
/// let error = parse(text, "fashion.toml", &[], &Environment::empty()).unwrap_err();
/// let sentence = "unknown key 'optimizer.momentun' in fashion.toml: did you mean 'optimizer.momentum'?";
/// assert_eq!(error.to_string(), sentence);
/// ```
pub fn parse(
    text: &str,
    file: &str,
    overrides: &[String],
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let mut tree = Tree::read(text, file, overrides)?;
    let layers = layers::parse(&tree.take("layer"))?;
    tree.check()?;
    let rules = tree.take("rule");
    resolve(&mut tree, environment)?;
    let mut config: Config = Value::Table(tree.clone().into_table())
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::new(format!("{file}: {}", error.message())))?;
    config.file = file.to_owned();
    config.placed = Place::of("pipeline.placement", &tree);
    config.model.layers = layers;
    let samples = [config.step().samples, config.step().microbatches];
    config.rule = Rule::resolve(&rules, &config.optimizer, &config.optimizer_b, samples)?;
    check::whole(&config, &tree)?;
    Ok(config)
}

/// Checks the names of `keys`, dotted or nested, and the types and ranges of their values; messages call their
/// source `file`. Combinations of keys are checked only in a whole configuration.
///
/// # Errors
/// The first fault, worded as in [`parse`].
pub(crate) fn check_keys(keys: Table, file: &str) -> Result<(), ConfigError> {
    Tree::of(keys, file).check()
}

/// The keys and values of `sets`, each a `key=value` in the form of `--set`.
///
/// # Errors
/// The first text that is no `key=value`, an unknown key, or a value that the key does not take.
pub(crate) fn assignments(sets: &[String]) -> Result<Vec<(String, Value)>, ConfigError> {
    let tree = Tree::read("", "", sets)?;
    tree.check()?;
    Ok(tree.values())
}

/// Sets the keys that are not set: first those with a default in the table, then those that follow other keys.
fn resolve(tree: &mut Tree, environment: &Environment) -> Result<(), ConfigError> {
    tree.fill(KEYS.iter().filter(|key| !key.path.starts_with("rule.")));
    for key in KEYS.iter().filter_map(|key| key.path.strip_prefix("optimizer_b.")) {
        if let Some(value) = tree.get(&format!("optimizer.{key}")).cloned() {
            tree.default(&format!("optimizer_b.{key}"), value);
        }
    }
    let kind = tree.get("data.kind").cloned().and_then(|kind| kind.try_into::<crate::data::DataKind>().ok());
    let missing = || ConfigError::new(format!("'data.kind' {} is missing", tree.place("data.kind")));
    let kind = kind.ok_or_else(missing)?;
    match (kind.classes(), tree.get("model.classes")) {
        (Some(classes), None) => tree.default("model.classes", Value::Integer(classes as i64)),
        (None, None) => {
            let place = tree.place("model.classes");
            let kind = tree.get("data.kind").and_then(Value::as_str).unwrap_or_default();
            let why = format!("is missing: 'data.kind' \"{kind}\" does not say how many there are");
            return Err(ConfigError::new(format!("'model.classes' {place} {why}")));
        }
        _ => {}
    }
    tree.default("data.augment", Value::Boolean(kind.varied()));
    let half = tree.get("network.wire").and_then(Value::as_str) == Some("f16");
    tree.default("train.loss_scale", Value::Float(if half { F16_LOSS_SCALE } else { 1.0 }));
    let path = tree.get("data.path").and_then(Value::as_str).map(Path::new);
    let folder = match (path, tree.origin("data.path")) {
        (Some(path), Some(Origin::Flag)) => path.to_owned(),
        (path, _) => environment.folder(kind, path),
    };
    let folder = environment.absolute(&folder);
    let text = folder.to_str().ok_or_else(|| {
        let why = "is not UTF-8: rename it, or set data.path to another folder";
        ConfigError::new(format!("the data's folder {} {why}", folder.display()))
    })?;
    tree.set("data.path", Value::from(text));
    Ok(())
}

impl Config {
    /// The whole configuration as TOML, with every key set; [`parse`] reads it as the same configuration. A run
    /// writes this text to `config.toml`.
    ///
    /// # Errors
    /// A value that TOML cannot hold, such as a seed of 2⁶³ or more. A value that was read from TOML never fails.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(&self.to_table()?).map_err(not_toml)
    }

    /// As [`Config::to_toml`], as a table.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub(crate) fn to_table(&self) -> Result<Table, ConfigError> {
        let mut table = Table::try_from(self).map_err(not_toml)?;
        if !self.model.layers.is_empty() {
            table.insert("layer".into(), Value::try_from(&self.model.layers).map_err(not_toml)?);
        }
        Ok(table)
    }
}

fn not_toml(why: toml::ser::Error) -> ConfigError {
    ConfigError::new(format!("the configuration is not TOML: {why}"))
}
