//! The names in `sweep.toml`: dotted or nested, and none that a sweep does not have.

use super::range;
use crate::config::{ConfigError, hint};
use toml::{Table, Value};

/// The keys at the top.
const KEYS: [&str; 14] = [
    "name",
    "base",
    "method",
    "trials",
    "seed",
    "objective",
    "startup_trials",
    "parallel",
    "cores",
    "set",
    "space",
    "case",
    "primitives",
    "stop",
];
/// Those below `primitives`; from the third on they have ranges.
const PRIMITIVES_KEYS: [&str; 7] = ["subsets", "trials_per_subset", "amp", "null", "sparse", "self", "decay"];
/// Those below `stop`.
const STOP_KEYS: [&str; 4] = ["median", "after_steps", "every_steps", "after_trials"];

/// Brings the keys of `[set]`, `[space]` and the cases into their dotted form, and refuses a name that is unknown
/// or missing, and a range that is none.
///
/// # Errors
/// The first such name, with the nearest one that there is; `file` is where it was found.
pub fn bring_into_form(table: &mut Table, file: &str) -> Result<(), ConfigError> {
    if let Some(key) = ["base", "method"].into_iter().find(|key| !table.contains_key(*key)) {
        return Err(ConfigError::new(format!("'{key}' in {file} is missing: every sweep needs one")));
    }
    for (name, ranges) in [("set", false), ("space", true)] {
        dotted(table, name, ranges);
    }
    let cases = table.get_mut("case").and_then(Value::as_array_mut).into_iter().flatten();
    cases.filter_map(Value::as_table_mut).for_each(|case| dotted(case, "set", false));
    known_keys(table, file)
}

/// Brings what stands below `name` into the dotted form.
fn dotted(table: &mut Table, name: &str, ranges: bool) {
    if let Some(Value::Table(nested)) = table.remove(name) {
        let mut flat = Table::new();
        flatten("", nested, ranges, &mut flat);
        table.insert(name.into(), Value::Table(flat));
    }
}

/// Brings `nested` keys into the dotted form; where `ranges` is set, a table with a range's key is a value.
fn flatten(prefix: &str, nested: Table, ranges: bool, flat: &mut Table) {
    for (name, value) in nested {
        let path = format!("{prefix}{name}");
        match value {
            Value::Table(inner) if !(ranges && range::KEYS.iter().any(|key| inner.contains_key(*key))) => {
                flatten(&format!("{path}."), inner, ranges, flat);
            }
            value => _ = flat.insert(path, value),
        }
    }
}

/// Refuses keys that a sweep does not have, with the nearest one that it has.
fn known_keys(table: &Table, file: &str) -> Result<(), ConfigError> {
    known(table, "", &KEYS, file)?;
    let inner = |name: &str| table.get(name).and_then(Value::as_table);
    for (name, keys) in [("primitives", &PRIMITIVES_KEYS[..]), ("stop", &STOP_KEYS)] {
        inner(name).map_or(Ok(()), |inner| known(inner, &format!("{name}."), keys, file))?;
    }
    let tables = [("space", &[][..]), ("primitives", &PRIMITIVES_KEYS[..2])];
    for (name, others) in tables {
        let ranges = inner(name).into_iter().flatten().filter(|(key, _)| !others.contains(&key.as_str()));
        for (key, range) in ranges {
            let Some(range) = range.as_table() else {
                let why = "it must be a range, { values = […] } or { low = …, high = … }";
                return Err(ConfigError::new(format!("'{name}.{key}' in {file} is {range}: {why}")));
            };
            known(range, &format!("{name}.{key}."), &range::KEYS, file)?;
        }
    }
    Ok(())
}

fn known(table: &Table, prefix: &str, keys: &[&str], file: &str) -> Result<(), ConfigError> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let near = hint(key, keys.iter().copied());
            Err(ConfigError::new(format!("unknown key '{prefix}{key}' in {file}{near}")))
        }
    }
}
