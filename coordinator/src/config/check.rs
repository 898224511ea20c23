//! What must hold between keys, and between a configuration and its network.

use proto::spec::graph::Value;
use proto::spec::graph::{LayerSpec, Op};
use proto::spec::optimizer::MAX_BOUNDARIES;
use proto::spec::rule::{Centering, RuleSpec};
use proto::spec::stage::MAX_MICROBATCH;

use super::nearest::hint;
use super::optimizer::Course;
use super::tree::{Origin, Tree};
use super::{Config, ConfigError, Stages};
use crate::data::DataKind;
use crate::model::Network;
use crate::rule::KOLEN_POLLACK;

/// The data's kind, whose name has been checked.
pub(super) fn data_kind(tree: &Tree) -> Result<DataKind, ConfigError> {
    let kind = tree.get("data.kind").cloned().and_then(|kind| kind.try_into().ok());
    kind.ok_or_else(|| ConfigError::new(format!("'data.kind' {} is missing", tree.place("data.kind"))))
}

/// Keys that must go together; `tree` knows who set them.
pub(super) fn whole(config: &Config, tree: &Tree) -> Result<(), ConfigError> {
    let refuse = |key: &str, why: String| Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(key))));
    let (model, train, microbatches) = (&config.model, &config.train, config.pipeline.microbatches);
    let custom = model.name == "custom";
    if custom && model.layers.is_empty() {
        return refuse(
            "model.name",
            "is \"custom\", but there is no [[layer]]: describe the network by them".into(),
        );
    }
    if !custom && !model.layers.is_empty() {
        return refuse("model.name", format!("is \"{}\", but [[layer]]s belong to \"custom\"", model.name));
    }
    if custom && model.width.is_some() {
        return refuse(
            "model.width",
            "says nothing of a custom network: its [[layer]]s have widths of their own".into(),
        );
    }
    let rules = || std::iter::once(&config.rule.all).chain(config.rule.layers.values());
    if config.alarm.kolen_pollack && !rules().any(|rule| rule.name() == KOLEN_POLLACK) {
        return refuse(
            "alarm.kolen_pollack",
            "watches layers under Kolen-Pollack, but no rule is that".into(),
        );
    }
    let noisy = |rule: &RuleSpec| match rule {
        RuleSpec::Learned { alignment, .. } => alignment.update_noise != 0.0,
        _ => false,
    };
    if config.alarm.kolen_pollack && rules().any(|rule| rule.name() == KOLEN_POLLACK && noisy(rule)) {
        let why = "cannot watch layers whose updates of B are noisy: set 'rule.update_noise' to 0";
        return refuse("alarm.kolen_pollack", why.into());
    }
    if microbatches > train.batch {
        let why = format!("is {microbatches}, more than the {} samples of 'train.batch'", train.batch);
        return refuse("pipeline.microbatches", why);
    }
    if train.batch.div_ceil(microbatches) > MAX_MICROBATCH {
        let why =
            format!("is {}, which makes microbatches of more than {MAX_MICROBATCH} samples", train.batch);
        return refuse("train.batch", why);
    }
    boundaries("optimizer", &config.optimizer.boundaries, tree)?;
    boundaries("optimizer_b", &config.optimizer_b.boundaries, tree)?;
    let [w, b] = [config.optimizer.schedule, config.optimizer_b.schedule];
    // What nobody sets of B's optimizer follows W's.
    steps("optimizer", &[w, b], tree)?;
    steps("optimizer_b", &[b], tree)?;
    if custom {
        self::rules(config, &model.layers).and_then(|()| cuts(config, &model.layers))
    } else {
        Ok(())
    }
}

/// The boundaries of a course, of which `tree` knows who set them.
pub(super) fn boundaries(table: &str, boundaries: &[f64], tree: &Tree) -> Result<(), ConfigError> {
    let key = format!("{table}.boundaries");
    let refuse = |why: String| Err(ConfigError::new(format!("'{key}' {} {why}", tree.place(&key))));
    if !boundaries.is_sorted_by(|a, b| a < b) {
        return refuse(format!("is {boundaries:?}: it must ascend"));
    }
    if boundaries.len() > MAX_BOUNDARIES {
        return refuse(format!("has {} boundaries, more than {MAX_BOUNDARIES}", boundaries.len()));
    }
    Ok(())
}

/// Refuses a flag that sets steps which none of these courses takes. In a file they may stand beside any
/// course, as in the resolved one of every run.
pub(super) fn steps(table: &str, courses: &[Course], tree: &Tree) -> Result<(), ConfigError> {
    let keys = ["boundaries", "factor"].map(|key| format!("{table}.{key}"));
    let flag = keys.iter().find(|key| tree.origin(key) == Some(Origin::Flag));
    match (flag, courses) {
        (Some(key), [course, ..]) if !courses.contains(&Course::Step) => Err(ConfigError::new(format!(
            "'{key}' in --set counts only with {table}.schedule = \"step\" (it is \"{}\")",
            course.word()
        ))),
        _ => Ok(()),
    }
}

/// Images that are of the size that the model is told of.
pub(super) fn image(config: &Config, [channels, height, width]: [u64; 3]) -> Result<(), ConfigError> {
    let model = &config.model;
    let is = |told: Option<u32>, found: u64| told.is_none_or(|told| u64::from(told) == found);
    let (key, told) = if !is(model.channels, channels) {
        ("model.channels", model.channels)
    } else if !is(model.image, height) || !is(model.image, width) {
        ("model.image", model.image)
    } else {
        return Ok(());
    };
    let (told, file) = (told.unwrap_or(0), &config.file);
    let images = format!("images of {height}×{width} in {channels} channel(s)");
    Err(ConfigError::new(format!("'{key}' in {file} is {told}, but the data has {images}: leave it out")))
}

/// An output of one value per class.
pub(super) fn output(config: &Config, output: Option<&Value>) -> Result<(), ConfigError> {
    let classes = config.model.classes;
    match output {
        Some(value) if value.shape == [u64::from(classes)] => Ok(()),
        Some(value) => Err(ConfigError::new(format!(
            "the last layer in {}, '{}', puts out {:?}, which is not one value for each of the {classes} classes of \
             'model.classes'",
            config.file, value.name, value.shape
        ))),
        None => Err(ConfigError::new(format!("the network in {} has no layers", config.file))),
    }
}

/// Rules of their own only for layers that have weights.
pub(super) fn rules(config: &Config, layers: &[LayerSpec]) -> Result<(), ConfigError> {
    let weights = || layers.iter().filter(|layer| layer.op.is_weight()).map(|layer| layer.name.as_str());
    match config.rule.layers.keys().find(|name| weights().all(|weight| weight != *name)) {
        None => Ok(()),
        Some(name) => Err(ConfigError::new(format!(
            "'rule.layers.{name}' names no layer with weights of the network in {}{}",
            config.file,
            hint(name, weights())
        ))),
    }
}

/// Cuts at layers that are there, in their order.
pub(super) fn cuts(config: &Config, layers: &[LayerSpec]) -> Result<(), ConfigError> {
    let Stages::Cuts(names) = &config.pipeline.stages else { return Ok(()) };
    let refuse = |name: &str, why: &str, hint: String| {
        Err(ConfigError::new(format!(
            "'pipeline.stages' names '{name}', which {why} in {}{hint}",
            config.file
        )))
    };
    let mut before = 0;
    for name in names {
        match layers.iter().position(|layer| layer.name == *name) {
            None => {
                let hint = hint(name, layers.iter().map(|layer| layer.name.as_str()));
                return refuse(name, "is no layer", hint);
            }
            Some(0) => {
                return refuse(name, "is the first layer", ": the first stage begins there anyway".into());
            }
            Some(at) if at <= before => {
                return refuse(name, "does not come after the cut before it", "".into());
            }
            Some(at) => before = at,
        }
    }
    Ok(())
}

/// Norms of more than one value per channel.
pub(super) fn norms(config: &Config, network: &Network, smallest: u64) -> Result<(), ConfigError> {
    let values = network.values().map_err(|error| ConfigError::new(error.to_string()))?;
    let seen = |value: &Value| value.shape.iter().skip(1).product::<u64>().saturating_mul(smallest);
    let lonely = network
        .layers
        .iter()
        .zip(&values)
        .find(|(layer, value)| matches!(layer.op, Op::BatchNorm { .. }) && seen(value) < 2);
    match lonely {
        None => Ok(()),
        Some((layer, _)) => Err(ConfigError::new(format!(
            "the {} '{}' in {} would normalise over one value per channel, in the smallest microbatch ({smallest} \
             sample): set fewer 'pipeline.microbatches', a larger 'train.batch', or 'train.remainder' to \"drop\"",
            layer.op.name(),
            layer.name,
            config.file
        ))),
    }
}

/// Rules that take a microbatch's mean off its samples, of which there must be several.
pub(super) fn centering(config: &Config, network: &Network, smallest: u64) -> Result<(), ConfigError> {
    let centred = |rule: &RuleSpec| match rule {
        RuleSpec::Learned { alignment, .. } => {
            alignment.centering == Centering::Batch && alignment.mirror.is_none()
        }
        _ => false,
    };
    let lonely =
        network.layers.iter().find(|layer| smallest < 2 && layer.op.is_weight() && centred(&layer.rule));
    match lonely {
        None => Ok(()),
        Some(layer) => Err(ConfigError::new(format!(
            "the rule of the layer '{}' in {} takes the microbatch's mean off x ('centering' is \"batch\"), which leaves \
             nothing of the smallest microbatch ({smallest} sample): set fewer 'pipeline.microbatches', another \
             'train.batch', or 'train.remainder' to \"drop\"",
            layer.name, config.file
        ))),
    }
}
