//! Builds the network of a configuration, and checks that the network and the configuration fit each other.

use proto::spec::graph::{LayerSpec, Op, Value};
use proto::spec::rule::{Centering, RuleSpec};

use super::sections::CUSTOM;
use super::split::split;
use super::{Config, ConfigError, Model, Stages};
use crate::model::zoo::{self, Options};
use crate::model::{Network, custom};
use crate::nearest::hint;

impl Config {
    /// The network for samples of the shape `input` (channels, height, width), each weight layer with its rule and the
    /// placement of its W and B.
    ///
    /// # Errors
    /// Images of another size than the model takes, layers that don't fit each other, an output that isn't one
    /// value per class, a rule, cut or placement that names no layer, or a rule that the placement does not allow.
    pub fn network(&self, input: [u64; 3]) -> Result<Network, ConfigError> {
        image(self, input)?;
        let refuse = |why: String| ConfigError::new(format!("the network in {} cannot be: {why}", self.file));
        let mut network = draw(&self.model, input).map_err(refuse)?;
        let values = network.values().map_err(|error| refuse(error.to_string()))?;
        output(self, values.last())?;
        rules(self, &network.layers)?;
        cuts(self, &network.layers)?;
        split(self, &network.layers)?;
        for layer in network.layers.iter_mut().filter(|layer| layer.op.is_weight()) {
            layer.rule = self.rule.of(&layer.name).clone();
            layer.split = self.pipeline.placement.splits(&layer.name);
        }
        // A rule may need matrices that the layer alone does not.
        network.values().map_err(|error| refuse(error.to_string()))?;
        Ok(network)
    }

    /// The shape of a sample (channels, height, width) as far as it is known before the data is opened: from
    /// `model.image` and `model.channels`, or else from the kind. `None` for the kind `idx` without these keys.
    pub fn input_shape(&self) -> Option<[u64; 3]> {
        let crop =
            self.data.kind.is_photographs().then_some([3, self.data.crop.into(), self.data.crop.into()]);
        let kind = crop.or(self.data.kind.shape());
        let side = self.model.image.map(u64::from).or(kind.map(|[_, side, _]| side))?;
        let channels = self.model.channels.map(u64::from).or(kind.map(|[channels, _, _]| channels))?;
        Some([channels, side, side])
    }

    /// Refuses layers for which a microbatch of `smallest` samples is too small. A batch norm that sees one value
    /// per channel computes a deviation of 0, and a rule cannot centre a single sample.
    ///
    /// # Errors
    /// The first such layer, and the remedy.
    pub fn check_microbatches(&self, network: &Network, smallest: u64) -> Result<(), ConfigError> {
        norms(self, network, smallest)?;
        centering(self, network, smallest)
    }
}

/// The network of `model`, without rules; the error is a sentence that names the layer at fault.
fn draw(model: &Model, input: [u64; 3]) -> Result<Network, String> {
    if model.name == CUSTOM {
        return custom::network(&model.layers, input).map_err(|error| error.to_string());
    }
    let [channels, height, width] = input;
    if height != width {
        return Err(format!("'{}' takes square images, not {height}×{width}", model.name));
    }
    let small = |size: u64| u32::try_from(size).map_err(|_| format!("images of {size} are too large"));
    let usual = Options::default();
    let options = Options {
        classes: model.classes,
        width: model.width.unwrap_or(usual.width),
        image: small(height)?,
        channels: small(channels)?,
        last_gamma: model.last_gamma.unwrap_or(usual.last_gamma),
        ..usual
    };
    zoo::by_name(&model.name, &options).ok_or_else(|| format!("no model is named '{}'", model.name))
}

/// Checks that the images have the size that the configuration gives.
fn image(config: &Config, [channels, height, width]: [u64; 3]) -> Result<(), ConfigError> {
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

/// Checks that the output is one value per class.
fn output(config: &Config, output: Option<&Value>) -> Result<(), ConfigError> {
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

/// Checks that every layer with a rule of its own has weights.
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

/// Checks that every cut names a layer, and that the cuts are in the order of the layers.
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

/// Checks that every batch norm sees more than one value per channel.
fn norms(config: &Config, network: &Network, smallest: u64) -> Result<(), ConfigError> {
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
            "the batch_norm '{}' in {} would normalise over one value per channel, in the smallest microbatch ({smallest} \
             sample): set fewer 'pipeline.microbatches', a larger 'train.batch', or 'train.remainder' to \"drop\"",
            layer.name, config.file
        ))),
    }
}

/// Checks that rules which subtract the microbatch's mean get more than one sample.
fn centering(config: &Config, network: &Network, smallest: u64) -> Result<(), ConfigError> {
    let centred = |rule: &RuleSpec| {
        matches!(rule, RuleSpec::Learned { alignment, .. }
            if alignment.centering == Centering::Batch && alignment.mirror.is_none())
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
