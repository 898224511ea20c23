//! The ends of the refusals of keys and words that the configuration does not know.

use toml::Value;

use super::advice::{self, Advice, advice};
use super::keys::{self, ANY_LAYER, KEYS, OWN_RULES};
use super::schema::Key;

/// The end of the refusal of the unknown key `path`: the key that was meant, the reason why there is none, or the
/// keys that there are.
pub(super) fn hint(path: &str) -> String {
    let known = known(path);
    let known: Vec<&str> = known.iter().map(String::as_str).chain(["layer"]).collect();
    let advice = layers_rule(path).or_else(|| advice(&flat(path), &known));
    advice.map_or_else(|| listing(path, &known), |advice| advice.phrase('\''))
}

/// The path without what lies between its first and its last part, except for a layer's own rule: no other table lies
/// in a table.
fn flat(path: &str) -> String {
    match (path.split_once('.'), path.rsplit_once('.')) {
        (Some((first, _)), Some((_, last))) if !path.starts_with(OWN_RULES) => format!("{first}.{last}"),
        _ => path.to_owned(),
    }
}

/// The keys that `path` may stand for: all but those of layers' own rules, and those of the layer that `path` names.
fn known(path: &str) -> Vec<String> {
    let layer = keys::own_rule(path).map(|(layer, _)| layer);
    let of_layer = |key: &Key| match (key.path.contains(ANY_LAYER), layer) {
        (true, layer) => layer.map(|layer| key.path.replace(ANY_LAYER, layer)),
        (false, _) => Some(key.path.clone()),
    };
    KEYS.iter().filter_map(of_layer).collect()
}

/// The key of a layer's own rule, for a path that lacks `layers`: `rule.conv1.amp` means `rule.layers.conv1.amp`.
fn layers_rule(path: &str) -> Option<Advice> {
    let below = path.strip_prefix("rule.").filter(|_| !path.starts_with(OWN_RULES))?;
    let whole = format!("{OWN_RULES}{}", below.strip_prefix("layer.").unwrap_or(below));
    keys::find(&whole).map(|_| Advice::Meant(vec![whole], ""))
}

/// The keys of the table in which `path` stands, or the tables.
fn listing(path: &str, known: &[&str]) -> String {
    let table = path.rsplit_once('.').map_or("", |(table, _)| table);
    let keys = known.iter().filter_map(|key| key.rsplit_once('.').filter(|(above, _)| *above == table));
    let keys: Vec<&str> = keys.map(|(_, key)| key).collect();
    if !keys.is_empty() {
        return format!("[{table}] has the keys {}", keys.join(", "));
    }
    let mut tables: Vec<&str> = known.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    tables.dedup();
    format!("there are 'seed', [[layer]] and the tables {}", tables.join(", "))
}

/// The keys that take the word `value`, for a key that does not; empty if the word is a slip for one of the key's own.
pub(super) fn elsewhere(key: &Key, value: &Value) -> String {
    let Some(word) = value.as_str() else { return String::new() };
    if advice(word, &key.allowed.words()).is_some() {
        return String::new();
    }
    let others = KEYS.iter().filter(|other| other.allowed.words().contains(&word));
    let others =
        others.filter(|other| !other.path.starts_with(OWN_RULES) && !other.path.starts_with("optimizer_b."));
    let others: Vec<String> = others.map(|other| format!("'{}'", other.path)).collect();
    if others.is_empty() {
        String::new()
    } else {
        format!("; {value} is a value of {}", advice::either(&others))
    }
}

/// The advice about a name that is perhaps a key of the configuration, where a guess will not do.
pub(crate) fn key_meant(name: &str) -> Option<Advice> {
    let known = known("");
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let whole = || Advice::Meant(vec![name.to_owned()], "");
    keys::find(name).map(|_| whole()).or_else(|| advice::certain(name, &known))
}
