//! The `[[layer]]` tables: each becomes a [`LayerSpec`], and the kinds and keys are those of [`Op`].

use std::collections::HashMap;

use proto::spec::graph::{INPUT, Init, LayerSpec, MAX_LAYERS, Op, Window};
use serde::Deserialize;
use toml::{Table, Value};

use super::ConfigError;
use super::advice::advice;
use super::allowed::Allowed::{Switch, Text, Whole, Words};
use super::allowed::{FINITE, POSITIVE, SHARE, SMALL, TEXTS};
use super::schema::{Key, follows};
use super::tree::{Origin, Tree};
use super::typed::{Fault, Item, keys_of, tags};
use crate::nearest::hint;

/// The standard deviation of W and B in the last linear layer.
const LAST: f64 = 0.01;
/// The key that names the kind of a layer.
const KIND: &str = "kind";

/// The kinds of layers.
pub(super) fn kinds() -> &'static [&'static str] {
    tags::<Op>(KIND)
}

/// The computation of each kind of layer, for the reference.
pub(super) const COMPUTES: [(&str, &str); 9] = [
    ("conv2d", "convolution with square windows; has W and B"),
    ("linear", "y = x Wᵀ; takes vectors; has W and B"),
    ("bias", "adds one number per channel"),
    (
        "batch_norm",
        "normalises each channel over the microbatch and its positions, then scales and shifts it",
    ),
    ("relu", "max(0, x)"),
    ("max_pool", "the largest element of each square window"),
    ("avg_pool", "the mean of each square window, or of the whole plane"),
    ("flatten", "one vector per sample"),
    ("add", "the sum of two or more values of one shape"),
];

/// Every key of a `[[layer]]` in the order of the reference, with the kinds that have the key; a key of all kinds
/// has an empty list.
pub(super) fn keys() -> Vec<(Key, Vec<&'static str>)> {
    let with =
        |key: &str| kinds().iter().copied().filter(|kind| keys_of::<Op>(KIND, kind).contains(&key)).collect();
    let init = "√(1/fan_in) / 0.8796; the last `linear`: `0.01`";
    [
        (KIND, Words(kinds()), "required", "what the layer computes"),
        ("name", Text, "kind and count: `conv1`", "names the layer and its value; unique"),
        ("input", Text, "the layer before", "the value that it takes: a layer's name, or `input`"),
        ("inputs", TEXTS, "`[input]`", "the values that it takes, where there are several"),
        ("out", Whole(1, 1 << 24), "required", "channels or features of its value"),
        ("kernel", SMALL, "required; `avg_pool`: the plane", "side of the window"),
        ("stride", SMALL, "`1`; pools: `kernel`", "step of the window"),
        ("padding", Whole(0, 65_536), "`0`", "padding on each side"),
        ("bias", Switch, "`conv2d`: `false`; `linear`: `true`", "adds one number per channel"),
        ("init_std", POSITIVE, init, "deviation of the normal that draws W and B"),
        ("eps", POSITIVE, "`1e-5`", "added to the variance"),
        ("momentum", SHARE, "`0.1`", "weight of a microbatch in the running statistics"),
        ("gamma", FINITE, "`1.0`", "the scale at the start"),
    ]
    .into_iter()
    .map(|(name, allowed, unset, doc)| (Key::new("layer", name, allowed, follows(unset), doc), with(name)))
    .collect()
}

/// The layers of `tree`, which holds nothing but `layer`.
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
    // The number of layers is checked before their names are compared with each other.
    if tables.len() > MAX_LAYERS {
        let count = tables.len();
        return Err(ConfigError::new(format!("'layer' {place} has {count} tables, more than {MAX_LAYERS}")));
    }
    let (mut reader, mut layers) = (Reader { keys: keys(), counts: HashMap::new() }, Vec::new());
    for table in tables {
        let layer = reader.read(table.as_table().ok_or_else(refuse)?, &layers, &place)?;
        layers.push(layer);
    }
    if let Some(init @ Init::FanIn) = layers.iter_mut().rev().find_map(|layer| match &mut layer.op {
        Op::Linear { init, .. } => Some(init),
        _ => None,
    }) {
        *init = Init::Normal(LAST);
    }
    Ok(layers)
}

/// Reads the layers one after another.
struct Reader {
    keys: Vec<(Key, Vec<&'static str>)>,
    /// The number of layers of each kind so far.
    counts: HashMap<String, usize>,
}

impl Reader {
    fn read(&mut self, table: &Table, before: &[LayerSpec], file: &str) -> Result<LayerSpec, ConfigError> {
        let name = table.get("name").and_then(Value::as_str);
        let named = name.map_or(String::new(), |name| format!(" ('{name}')"));
        let place = format!("of layer {}{named} {file}", before.len() + 1);
        let refuse = |key: &str, why: &str| ConfigError::new(format!("'layer.{key}' {place} {why}"));
        let kind = self.kind(table, &place)?;

        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let usual = format!("{}{count}", if kind == "conv2d" { "conv" } else { kind });
        let inputs = inputs(table, before).map_err(|why| refuse("input", &why))?;
        let mut whole = table.clone();
        whole.remove("input");
        whole.insert("inputs".into(), inputs.into());
        whole.insert("name".into(), name.map_or(usual, str::to_owned).into());

        let layer = LayerSpec::deserialize(Item(&Value::Table(whole))).map_err(|fault| match fault {
            Fault::Missing(key) => refuse(key, &format!("is missing: a {kind} needs it")),
            other => ConfigError::new(format!("a layer {place}: {other}")),
        })?;
        let step = ["stride", "padding"].into_iter().find(|key| table.contains_key(*key));
        match (&layer.op, step) {
            (Op::AvgPool(Window::PLANE), Some(key)) => {
                Err(refuse(key, "needs 'layer.kernel': without it the window is the whole plane"))
            }
            _ => Ok(layer),
        }
    }

    /// The kind of the layer in `table`.
    fn kind<'a>(&self, table: &'a Table, place: &str) -> Result<&'a str, ConfigError> {
        let missing =
            || ConfigError::new(format!("'layer.{KIND}' {place} is missing: it must be {}", Words(kinds())));
        let value = table.get(KIND).ok_or_else(missing)?;
        Words(kinds()).check(&format!("'layer.{KIND}'"), place, value)?;
        let kind = value.as_str().unwrap_or_default();
        for (name, value) in table {
            let Some((key, _)) = self.of_kind(kind).find(|(key, _)| key.name() == name) else {
                let hint = self.hint(name, kind);
                return Err(ConfigError::new(format!(
                    "unknown key 'layer.{name}' {place}, a {kind}: {hint}"
                )));
            };
            key.allowed.check(&format!("'layer.{name}'"), place, value)?;
        }
        Ok(kind)
    }

    /// The keys that a layer of this kind takes.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &(Key, Vec<&'static str>)> {
        self.keys.iter().filter(move |(_, kinds)| kinds.is_empty() || kinds.contains(&kind))
    }

    /// The end of the refusal of the key `name`: the kinds that have the key, the key that was meant, or the keys that
    /// there are.
    fn hint(&self, name: &str, kind: &str) -> String {
        if let Some((_, kinds)) = self.keys.iter().find(|(key, _)| key.name() == name) {
            return format!("it belongs to {}", kinds.join(", "));
        }
        let known: Vec<&str> = self.of_kind(kind).map(|(key, _)| key.path.as_str()).collect();
        let listing = || {
            let names: Vec<&str> = self.of_kind(kind).map(|(key, _)| key.name()).collect();
            format!("it takes {}", names.join(", "))
        };
        advice(&format!("layer.{name}"), &known).map_or_else(listing, |advice| advice.phrase('\''))
    }
}

/// The names of the values that a layer takes: the named inputs, or else the value of the layer before it.
fn inputs(table: &Table, before: &[LayerSpec]) -> Result<Vec<String>, String> {
    let last = || before.last().map_or(INPUT, |layer| &layer.name).to_owned();
    let names =
        match (table.get("input").and_then(Value::as_str), table.get("inputs").and_then(Value::as_array)) {
            (Some(_), Some(_)) => return Err("and 'layer.inputs' say the same: leave one out".into()),
            (Some(one), None) => vec![one.to_owned()],
            (None, Some(all)) => all.iter().filter_map(Value::as_str).map(String::from).collect(),
            (None, None) => vec![last()],
        };
    let known = || before.iter().map(|layer| layer.name.as_str()).chain([INPUT]);
    match names.iter().find(|name| known().all(|known| known != *name)) {
        None => Ok(names),
        Some(name) => Err(format!("is '{name}', which no layer before it computes{}", hint(name, known()))),
    }
}
