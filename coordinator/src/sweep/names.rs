//! The names in `sweep.toml`: brings them into dotted form and refuses unknown names.

use super::median::Stop;
use super::primitives::Primitives;
use super::range::{Range, Scale};
use crate::config::{self, Advice, Allowed, ConfigError, advice, keys_of_table, words};
use proto::spec::rule::Primitive;
use toml::{Table, Value};

/// Brings the keys of `[set]`, `[space]` and the cases into their dotted form. It refuses a name that is unknown or
/// missing, and a range that is no range.
///
/// # Errors
/// The first wrong name, with the nearest valid name; `keys` are the keys at the top level, and `file` is the
/// source of `table`.
pub fn bring_into_form(table: &mut Table, keys: &[&str], file: &str) -> Result<(), ConfigError> {
    for (name, ranges) in [("set", false), ("space", true)] {
        dotted(table, name, ranges);
    }
    let cases = table.get_mut("case").and_then(Value::as_array_mut).into_iter().flatten();
    cases.filter_map(Value::as_table_mut).for_each(|case| dotted(case, "set", false));
    known_keys(table, keys, file)?;
    // A required key under another name is unknown first.
    match ["base", "method"].into_iter().find(|key| !table.contains_key(*key)) {
        Some(key) => Err(ConfigError::new(format!("'{key}' in {file} is missing: every sweep needs one"))),
        None => Ok(()),
    }
}

/// Brings the keys below `name` into the dotted form.
fn dotted(table: &mut Table, name: &str, ranges: bool) {
    if let Some(Value::Table(nested)) = table.remove(name) {
        let mut flat = Table::new();
        flatten("", nested, ranges, &mut flat);
        table.insert(name.into(), Value::Table(flat));
    }
}

/// Adds the `nested` keys to `flat` in dotted form; if `ranges` is set, a table with a range's key is a value, and so is
/// the table of a key of the configuration.
fn flatten(prefix: &str, nested: Table, ranges: bool, flat: &mut Table) {
    for (name, value) in nested {
        let path = format!("{prefix}{name}");
        match value {
            Value::Table(inner) if !(ranges && is_range(&path, &inner)) => {
                flatten(&format!("{path}."), inner, ranges, flat);
            }
            value => _ = flat.insert(path, value),
        }
    }
}

fn is_range(path: &str, table: &Table) -> bool {
    config::is_key(path) || keys_of_table::<Range>().iter().any(|key| table.contains_key(*key))
}

/// Refuses keys that a sweep does not have, with the key that was meant, and scales that a range does not have.
fn known_keys(table: &Table, keys: &[&str], file: &str) -> Result<(), ConfigError> {
    known(table, "", keys, file)?;
    let inner = |name: &str| table.get(name).and_then(Value::as_table);
    for (name, keys) in [("primitives", Primitives::keys()), ("stop", keys_of_table::<Stop>().to_vec())] {
        inner(name).map_or(Ok(()), |inner| known(inner, &format!("{name}."), &keys, file))?;
    }
    let is_range = |table: &str, key: &str| table == "space" || Primitive::named(key).is_some();
    for name in ["space", "primitives"] {
        for (key, range) in inner(name).into_iter().flatten().filter(|(key, _)| is_range(name, key)) {
            let Some(range) = range.as_table() else {
                let why = "it must be a range, { values = […] } or { low = …, high = … }";
                return Err(ConfigError::new(format!("'{name}.{key}' in {file} is {range}: {why}")));
            };
            known(range, &format!("{name}.{key}."), keys_of_table::<Range>(), file)?;
            word(range, "scale", words::<Scale>(), file)?;
        }
    }
    Ok(())
}

/// Refuses a value of `key` that is none of `words`.
///
/// # Errors
/// The value, the words, and the word that was meant.
pub fn word(table: &Table, key: &str, words: &'static [&'static str], file: &str) -> Result<(), ConfigError> {
    let check = |value| Allowed::Words(words).check(&format!("'{key}'"), &format!("in {file}"), value);
    table.get(key).map_or(Ok(()), check)
}

fn known(table: &Table, prefix: &str, keys: &[&str], file: &str) -> Result<(), ConfigError> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let of_run = || if prefix.is_empty() { of_configuration(key) } else { None };
            let own = advice(key, keys).filter(|_| !config::is_table(key)).map(|advice| advice.phrase('\''));
            let hint = own.or_else(of_run).unwrap_or_else(|| format!("there are {}", keys.join(", ")));
            Err(ConfigError::new(format!("unknown key '{prefix}{key}' in {file}: {hint}")))
        }
    }
}

/// The advice about a key at the top of a sweep that belongs to the configuration of its trials.
fn of_configuration(key: &str) -> Option<String> {
    let place = "below [set] or, with a range, below [space]";
    if config::is_table(key) {
        return Some(format!("the keys of the configuration stand {place}"));
    }
    config::key_meant(key).map(|advice| match advice {
        Advice::Meant(names, remark) => {
            let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
            format!("did you mean {}{remark}, {place}?", config::either(&names))
        }
        absent => absent.phrase('\''),
    })
}
