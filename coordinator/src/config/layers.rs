//! `[[layer]]`s out of TOML, with their defaults.

use proto::spec::graph::{INPUT, Init, LayerSpec, MAX_LAYERS, Op, Window};
use proto::spec::rule::RuleSpec;
use toml::{Table, Value};

use super::ConfigError;
use super::allowed::Allowed::Words;
use super::allowed::number;
use super::layer_keys::{LAYER_KEYS, NAMES};
use super::nearest::hint;
use super::tree::{Origin, Tree};

/// The deviation of the last linear layer's W and B.
const LAST: f64 = 0.01;

/// The layers in `tree`, out of which all but `layer` has been taken.
pub(super) fn parse(tree: &Tree) -> Result<Vec<LayerSpec>, ConfigError> {
    let place = tree.place("layer");
    let refuse =
        || ConfigError::new(format!("'layer' {place} must be a list of tables: write [[layer]] above each"));
    let below = tree.paths().find(|path| *path != "layer" && tree.origin(path) == Some(Origin::Flag));
    if let Some((path, value)) = below.and_then(|path| Some((path, tree.get(path)?))) {
        return Err(tree.unknown(path, value));
    }
    let tables = match tree.get("layer") {
        None if tree.paths().next().is_none() => return Ok(Vec::new()),
        Some(Value::Array(tables)) => tables,
        _ => return Err(refuse()),
    };
    // Before their names are compared with each other.
    if tables.len() > MAX_LAYERS {
        let count = tables.len();
        return Err(ConfigError::new(format!("'layer' {place} has {count} tables, more than {MAX_LAYERS}")));
    }
    let mut layers: Vec<LayerSpec> = Vec::with_capacity(tables.len());
    for table in tables {
        let table = table.as_table().ok_or_else(refuse)?;
        layers.push(Fields::of(table, layers.len() + 1, &place)?.layer(&layers)?);
    }
    if let Some(Op::Linear { init: init @ Init::FanIn, .. }) =
        layers.iter_mut().rev().map(|layer| &mut layer.op).find(|op| matches!(op, Op::Linear { .. }))
    {
        *init = Init::Normal(LAST);
    }
    Ok(layers)
}

/// One `[[layer]]`, whose keys are known to be right for its kind.
struct Fields<'a> {
    table: &'a Table,
    kind: &'a str,
    /// `of layer 3 in fashion.toml`.
    place: String,
}

impl<'a> Fields<'a> {
    fn of(table: &'a Table, count: usize, place: &str) -> Result<Self, ConfigError> {
        let name =
            table.get("name").and_then(Value::as_str).map_or(String::new(), |name| format!(" ('{name}')"));
        let place = format!("of layer {count}{name} {place}");
        let missing =
            || ConfigError::new(format!("'layer.kind' {place} is missing: it must be {}", Words(NAMES)));
        let value = table.get("kind").ok_or_else(missing)?;
        Words(NAMES).check("'layer.kind'", &place, value)?;
        let kind = value.as_str().unwrap_or_default();
        let known = || LAYER_KEYS.iter().filter(|key| key.kinds.is_empty() || key.kinds.contains(&kind));
        for (name, value) in table {
            let Some(key) = known().find(|key| key.name == name) else {
                let hint = hint(name, known().map(|key| key.name)).replace("mean '", "mean 'layer.");
                return Err(ConfigError::new(format!("unknown key 'layer.{name}' {place}, a {kind}{hint}")));
            };
            key.allowed.check(&format!("'layer.{name}'"), &place, value)?;
        }
        Ok(Fields { table, kind, place })
    }

    fn layer(&self, before: &[LayerSpec]) -> Result<LayerSpec, ConfigError> {
        let same = before.iter().filter(|layer| layer.op.name() == self.kind).count();
        let stem = if self.kind == "conv2d" { "conv" } else { self.kind };
        let name = self.text("name").unwrap_or_else(|| format!("{stem}{}", same + 1));
        Ok(LayerSpec { name, inputs: self.inputs(before)?, op: self.op()?, rule: RuleSpec::default() })
    }

    fn inputs(&self, before: &[LayerSpec]) -> Result<Vec<String>, ConfigError> {
        let names = match (self.text("input"), self.table.get("inputs").and_then(Value::as_array)) {
            (Some(_), Some(_)) => {
                return Err(self.refuse("input", "and 'layer.inputs' say the same: leave one out"));
            }
            (Some(one), None) => vec![one],
            (None, Some(all)) => all.iter().filter_map(Value::as_str).map(String::from).collect(),
            (None, None) => vec![before.last().map_or_else(|| INPUT.to_owned(), |layer| layer.name.clone())],
        };
        let known = || before.iter().map(|layer| layer.name.as_str()).chain([INPUT]);
        match names.iter().find(|name| known().all(|known| known != *name)) {
            None => Ok(names),
            Some(name) => {
                let why = format!("is '{name}', which no layer before it computes{}", hint(name, known()));
                Err(self.refuse("input", &why))
            }
        }
    }

    fn op(&self) -> Result<Op, ConfigError> {
        let init = self.number("init_std").map_or(Init::FanIn, Init::Normal);
        Ok(match self.kind {
            "conv2d" => {
                let Window { kernel, stride, padding } = self.window(Some(1))?;
                let bias = self.switch("bias", false);
                Op::Conv2d { out: self.required("out")?, kernel, stride, padding, bias, init }
            }
            "linear" => Op::Linear { out: self.required("out")?, bias: self.switch("bias", true), init },
            "bias" => Op::Bias,
            "batch_norm" => Op::BatchNorm {
                eps: self.number("eps").unwrap_or(1e-5),
                momentum: self.number("momentum").unwrap_or(0.1),
                gamma: self.number("gamma").unwrap_or(1.0),
            },
            "relu" => Op::Relu,
            "max_pool" => Op::MaxPool(self.window(None)?),
            "avg_pool" => Op::AvgPool(self.plane_or_window()?),
            "flatten" => Op::Flatten,
            _ => Op::Add,
        })
    }

    /// A window whose step is by default `stride`, or its side.
    fn window(&self, stride: Option<u32>) -> Result<Window, ConfigError> {
        let kernel = self.required("kernel")?;
        let stride = self.whole("stride").or(stride).unwrap_or(kernel);
        Ok(Window { kernel, stride, padding: self.whole("padding").unwrap_or(0) })
    }

    fn plane_or_window(&self) -> Result<Window, ConfigError> {
        match ["stride", "padding"].iter().find(|key| self.table.contains_key(**key)) {
            _ if self.table.contains_key("kernel") => self.window(None),
            Some(key) => {
                Err(self.refuse(key, "needs 'layer.kernel': without it the window is the whole plane"))
            }
            None => Ok(Window { kernel: 0, stride: 1, padding: 0 }),
        }
    }

    fn required(&self, key: &str) -> Result<u32, ConfigError> {
        self.whole(key).ok_or_else(|| self.refuse(key, &format!("is missing: a {} needs it", self.kind)))
    }

    fn refuse(&self, key: &str, why: &str) -> ConfigError {
        ConfigError::new(format!("'layer.{key}' {} {why}", self.place))
    }

    fn whole(&self, key: &str) -> Option<u32> {
        self.table.get(key).and_then(Value::as_integer).and_then(|whole| u32::try_from(whole).ok())
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.table.get(key).and_then(number)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.table.get(key).and_then(Value::as_str).map(String::from)
    }

    fn switch(&self, key: &str, unset: bool) -> bool {
        self.table.get(key).and_then(Value::as_bool).unwrap_or(unset)
    }
}
