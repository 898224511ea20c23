//! The settings in which cases differ: as columns where they are few, and else by value.

use super::case::Case;
use super::settings::is_of_layer;
use crate::report::text::{NONE, plural};
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// The most settings that stand in the table of the cases.
const COLUMNS: usize = 8;
/// The most settings that are listed by value.
const ROWS: usize = 200;

/// The settings in which cases differ.
pub struct Differences<'a> {
    /// The columns of the table of the cases.
    pub columns: Vec<&'a str>,
    /// For each case its values in these columns.
    pub rows: Vec<Vec<&'a str>>,
    /// The other settings, each with its values and the cases that have them.
    pub others: Vec<Values<'a>>,
    /// The number of settings that are not listed.
    pub left_out: usize,
}

/// A setting with its values, each with the names of its cases.
pub struct Values<'a> {
    pub key: &'a str,
    pub values: Vec<(&'a str, String)>,
}

impl<'a> Differences<'a> {
    /// The differences; `None` where no setting differs.
    pub fn of(cases: &'a [Case]) -> Option<Self> {
        let keys: BTreeSet<&str> =
            cases.iter().flat_map(|case| case.settings.keys()).map(String::as_str).collect();
        let differs = |key: &&str| cases.iter().any(|case| value(case, key) != value(&cases[0], key));
        let differing: Vec<&str> = keys.into_iter().filter(differs).collect();
        let (of_layers, mut columns): (Vec<&str>, Vec<&str>) =
            differing.into_iter().partition(|key| is_of_layer(key));
        // The rule comes first, whatever its place in the alphabet.
        columns.sort_by_key(|key| *key != "rule.name");
        let more = columns.split_off(columns.len().min(COLUMNS));
        let mut others: Vec<&str> = more.into_iter().chain(of_layers).collect();
        let left_out = others.len().saturating_sub(ROWS);
        others.truncate(ROWS);
        (!columns.is_empty() || !others.is_empty()).then(|| Self {
            rows: cases.iter().map(|case| columns.iter().map(|key| value(case, key)).collect()).collect(),
            columns,
            others: others.into_iter().map(|key| Values::of(cases, key)).collect(),
            left_out,
        })
    }
}

impl Differences<'_> {
    /// The number of settings beside the columns, in words.
    pub fn more(&self) -> String {
        plural((self.others.len() + self.left_out) as u64, "more setting")
    }
}

impl<'a> Values<'a> {
    fn of(cases: &'a [Case], key: &'a str) -> Self {
        let mut values: IndexMap<&str, Vec<&str>> = IndexMap::new();
        for case in cases {
            values.entry(value(case, key)).or_default().push(&case.name);
        }
        Self { key, values: values.into_iter().map(|(value, cases)| (value, cases.join(", "))).collect() }
    }
}

fn value<'a>(case: &'a Case, key: &str) -> &'a str {
    case.settings.get(key).map_or(NONE, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_settings_are_columns_and_those_of_layers_are_listed_by_value() {
        let case = |name: &str, config: &str| {
            let pair =
                |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
            Case {
                name: name.into(),
                runs: Vec::new(),
                settings: config.split(' ').filter_map(pair).collect(),
            }
        };
        let layers = (0..250).map(|i| format!(" layer[{i}].out=4")).collect::<String>();
        let cases = [case("a", "rule.name=x lr=1 z=3"), case("b", &format!("rule.name=y lr=2 z=3{layers}"))];
        let found = Differences::of(&cases).unwrap();
        assert_eq!(
            (found.columns, found.rows),
            (vec!["rule.name", "lr"], vec![vec!["x", "1"], vec!["y", "2"]])
        );
        assert_eq!((found.others.len(), found.left_out), (200, 50));
        assert_eq!(found.others[0].values, [("–", "a".to_owned()), ("4", "b".to_owned())]);
        assert!(Differences::of(&cases[..1]).is_none());
    }
}
