//! A configuration as TOML, with nothing left to a default: what a run leaves as `config.toml`.

use proto::spec::graph::{Init, LayerSpec, Op, Window};
use proto::spec::rule::{Coefficients, Mirror, RuleSpec};
use toml::{Table, Value};

use super::rule::{CENTERINGS, MAGNITUDES, NOISES, RuleCourse, TRANSFERS};
use super::{Config, ConfigError};

impl Config {
    /// The whole configuration as TOML, which [`parse`](super::parse) reads as the same configuration.
    ///
    /// # Errors
    /// A value that TOML cannot hold, such as a seed of 2⁶³ or more; none that was read from TOML is.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let refuse =
            |why: toml::ser::Error| ConfigError::new(format!("the configuration is not TOML: {why}"));
        let mut table = Table::try_from(self).map_err(refuse)?;
        let mut rule = rule(&self.rule.all);
        rule.extend(course(&self.rule.course).into_iter().map(|(key, value)| (key.to_owned(), value)));
        let own = self.rule.layers.iter().map(|(name, own)| (name.clone(), rule_value(own)));
        let own: Table = own.collect();
        if !own.is_empty() {
            rule.insert("layers".into(), Value::Table(own));
        }
        table.insert("rule".into(), Value::Table(rule));
        if !self.model.layers.is_empty() {
            let layers = self.model.layers.iter().map(|spec| Value::Table(layer(spec))).collect();
            table.insert("layer".into(), Value::Array(layers));
        }
        toml::to_string(&table).map_err(refuse)
    }
}

fn rule_value(spec: &RuleSpec) -> Value {
    Value::Table(rule(spec))
}

fn rule(spec: &RuleSpec) -> Table {
    let mut table = Table::from_iter([("name".to_owned(), Value::from(spec.name()))]);
    let mut put = |key: &str, value: Value| _ = table.insert(key.to_owned(), value);
    match spec {
        RuleSpec::Backprop => {}
        RuleSpec::SignSymmetry(magnitude) => put("magnitude", word(*magnitude, &MAGNITUDES)),
        RuleSpec::Learned { task, coefficients, alignment, .. } => {
            let Coefficients { amp, null, sparse, self_, decay } = *coefficients;
            let numbers =
                [("amp", amp), ("null", null), ("sparse", sparse), ("self", self_), ("decay", decay)];
            numbers.into_iter().for_each(|(key, number)| put(key, Value::Float(number)));
            put("task", Value::Boolean(*task));
            put("input", if alignment.mirror.is_some() { "noise" } else { "activation" }.into());
            if let Some(Mirror { noise, sigma, batch, every, delay }) = alignment.mirror {
                put("noise", word(noise, &NOISES));
                put("noise_sigma", sigma.into());
                put("noise_batch", batch.into());
                put("mirror_every", Value::Integer(every as i64));
                put("mirror_delay", Value::Integer(delay as i64));
            }
            put("centering", word(alignment.centering, &CENTERINGS));
            put("activation", word(alignment.transfer, &TRANSFERS));
            put("update_noise", alignment.update_noise.into());
        }
    }
    table
}

/// The word that stands for `meaning`.
fn word<T: PartialEq>(meaning: T, words: &[(&str, T)]) -> Value {
    words.iter().find(|(_, other)| *other == meaning).map_or("", |(word, _)| *word).into()
}

/// The course of the coefficients; nothing where it is the default, which backprop would refuse.
fn course(course: &RuleCourse) -> Vec<(&'static str, Value)> {
    if *course == RuleCourse::default() {
        return Vec::new();
    }
    vec![
        ("schedule", course.schedule.word().into()),
        ("warmup_epochs", course.warmup_epochs.into()),
        ("boundaries", course.boundaries.clone().into()),
        ("factor", course.factor.into()),
    ]
}

/// What the op says, in the keys of a `[[layer]]`.
fn layer(spec: &LayerSpec) -> Table {
    let whole = |number: u32| Value::Integer(number.into());
    let window = |window: Window| match window.kernel {
        0 => vec![],
        _ => vec![
            ("kernel", whole(window.kernel)),
            ("stride", whole(window.stride)),
            ("padding", whole(window.padding)),
        ],
    };
    let init = |init: Init| match init {
        Init::FanIn => None,
        Init::Normal(deviation) => Some(("init_std", Value::Float(deviation))),
    };
    let mut keys = match spec.op {
        Op::Conv2d { out, kernel, stride, padding, bias, .. } => {
            let mut keys = window(Window { kernel, stride, padding });
            keys.extend([("out", whole(out)), ("bias", bias.into())]);
            keys
        }
        Op::Linear { out, bias, .. } => vec![("out", whole(out)), ("bias", bias.into())],
        Op::BatchNorm { eps, momentum, gamma } => {
            vec![("eps", eps.into()), ("momentum", momentum.into()), ("gamma", gamma.into())]
        }
        Op::MaxPool(pool) | Op::AvgPool(pool) => window(pool),
        Op::Bias | Op::Relu | Op::Flatten | Op::Add => vec![],
    };
    if let Op::Conv2d { init: drawn, .. } | Op::Linear { init: drawn, .. } = spec.op {
        keys.extend(init(drawn));
    }
    keys.extend([("name", spec.name.as_str().into()), ("kind", spec.op.name().into())]);
    keys.push(("inputs", spec.inputs.clone().into()));
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
