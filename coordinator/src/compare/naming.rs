//! The names of cases: the shortest words that tell each from all others.

use super::settings::{Settings, is_of_layer};
use crate::report::text::words;
use std::collections::{BTreeMap, BTreeSet};

/// The most characters of a name.
const LONGEST: usize = 60;

/// A part of the names: what the sweeps call their cases, or a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Given,
    Key(&'a str),
}

/// A name for each case, all of them different. `given` is what the case's sweep calls it, and comes first. Keys follow
/// in which the cases differ: those of the rule and of other names first, then whichever tells most cases apart.
pub fn names(given: &[Option<String>], settings: &[Settings]) -> Vec<String> {
    let table = Table { given, settings };
    let parts = table.parts();
    let mut names: Vec<String> = Vec::new();
    for case in 0..settings.len() {
        let name = table.name(case, &parts);
        let name = match names.iter().position(|before| *before == name) {
            Some(before) => shortened(format!("{name}{}", table.apart(case, before))),
            None => name,
        };
        names.push(unused(name, &names));
    }
    names
}

/// The name, without its end if it is too long.
fn shortened(name: String) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// The name, with a number behind it if another case has it.
fn unused(name: String, names: &[String]) -> String {
    let numbered = (2..).map(|number| format!("{name} ({number})"));
    let mut all = [name.clone()].into_iter().chain(numbered);
    all.find(|name| !names.contains(name)).unwrap_or_default()
}

struct Table<'a> {
    given: &'a [Option<String>],
    settings: &'a [Settings],
}

impl<'a> Table<'a> {
    fn value(&self, case: usize, part: &Part) -> Option<&'a str> {
        match part {
            Part::Given => self.given[case].as_deref(),
            Part::Key(key) => self.settings[case].get(*key).map(String::as_str),
        }
    }

    /// The parts in which cases differ, in the order in which a reader looks for them.
    fn candidates(&self) -> Vec<Part<'a>> {
        let keys: BTreeSet<&str> =
            self.settings.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
        let differs =
            |part: &Part| (1..self.settings.len()).any(|case| self.value(case, part) != self.value(0, part));
        let rank = |key: &str| match key {
            "rule.name" => 0,
            key if is_of_layer(key) => 4,
            key if key.ends_with(".name") => 1,
            key if key.starts_with("optimizer") => 2,
            _ => 3,
        };
        let mut keys: Vec<&str> = keys.into_iter().filter(|key| differs(&Part::Key(key))).collect();
        keys.sort_by_key(|key| rank(key));
        let given = self.given.iter().any(Option::is_some).then_some(Part::Given);
        given.into_iter().chain(keys.into_iter().map(Part::Key)).collect()
    }

    /// The number of cases that these parts tell apart.
    fn told_apart(&self, parts: &[&Part]) -> usize {
        let all = 0..self.settings.len();
        let values = all.map(|case| parts.iter().map(|part| self.value(case, part)).collect::<Vec<_>>());
        values.collect::<BTreeSet<_>>().len()
    }

    /// The parts that suffice: the first of a reader's order, then whichever tells most cases apart.
    fn parts(&self) -> Vec<Part<'a>> {
        let mut left = self.candidates();
        let mut parts: Vec<Part> = Vec::new();
        while self.told_apart(&parts.iter().collect::<Vec<_>>()) < self.settings.len() && !left.is_empty() {
            let gain = |part: &Part| self.told_apart(&parts.iter().chain([part]).collect::<Vec<_>>());
            let first = parts.is_empty() && matches!(left[0], Part::Given | Part::Key("rule.name"));
            let best = match first {
                true => 0,
                false => (0..left.len()).rev().max_by_key(|index| gain(&left[*index])).unwrap_or(0),
            };
            parts.push(left.remove(best));
        }
        parts
    }

    /// The name of a case: as many of the parts, from the first, as tell it from all others.
    fn name(&self, case: usize, parts: &[Part]) -> String {
        let alone = |count: &usize| {
            let same = |other: usize| {
                parts[..*count].iter().all(|part| self.value(other, part) == self.value(case, part))
            };
            (0..self.settings.len()).filter(|other| *other != case).all(|other| !same(other))
        };
        let count = (0..=parts.len()).find(alone).unwrap_or(parts.len()).max(1).min(parts.len());
        let said = parts[..count].iter().filter_map(|part| self.said(case, part, parts));
        let said = said.collect::<Vec<_>>().join(", ");
        let fallback =
            || self.given[case].clone().or(self.settings[case].get("rule.name").map(|name| words(name)));
        let name =
            Some(said).filter(|said| !said.is_empty()).or_else(fallback).unwrap_or_else(|| "run".to_owned());
        shortened(name)
    }

    /// The setting that tells a case from another of the same name, which has its name from its sweep.
    fn apart(&self, case: usize, other: usize) -> String {
        let differs = |part: &Part| *part != Part::Given && self.value(case, part) != self.value(other, part);
        let said = self.candidates().into_iter().filter(differs).find_map(|part| self.said(case, &part, &[]));
        said.map_or_else(String::new, |said| format!(", {said}"))
    }

    /// A part of a case's name in words; none where the case does not have the key.
    fn said(&self, case: usize, part: &Part, parts: &[Part]) -> Option<String> {
        let value = self.value(case, part)?;
        Some(match part {
            Part::Given => value.to_owned(),
            Part::Key(key) if key.ends_with(".name") && !is_of_layer(key) => words(value),
            Part::Key(key) => {
                let like = |part: &&Part| matches!(part, Part::Key(other) if last(other) == last(key));
                let short = if parts.iter().filter(like).count() > 1 { key } else { last(key) };
                format!("{short}={value}")
            }
        })
    }
}

/// The last part of a dotted key.
fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(given: &[Option<&str>], cases: &[&str]) -> Vec<String> {
        let pair =
            |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
        let settings: Vec<Settings> =
            cases.iter().map(|case| case.split_whitespace().map(pair).collect()).collect();
        let given: Vec<_> =
            (0..cases.len()).map(|case| given.get(case).copied().flatten().map(str::to_owned)).collect();
        names(&given, &settings)
    }

    #[test]
    fn the_rule_is_enough_where_it_tells_the_cases_apart() {
        let cases = ["rule.name=kolen_pollack optimizer.lr=1", "rule.name=backprop optimizer.lr=2"];
        assert_eq!(named(&[], &cases), ["kolen pollack", "backprop"]);
    }

    #[test]
    fn a_case_has_no_more_words_than_it_needs() {
        let cases = [
            "rule.name=a optimizer.lr=1 optimizer_b.lr=1 z=1",
            "rule.name=a optimizer.lr=2 optimizer_b.lr=1 z=1",
            "rule.name=a optimizer.lr=2 optimizer_b.lr=3 z=1",
            "rule.name=b_c optimizer.lr=2 optimizer_b.lr=3 z=2",
        ];
        let due = [
            "a, optimizer.lr=1",
            "a, optimizer.lr=2, optimizer_b.lr=1",
            "a, optimizer.lr=2, optimizer_b.lr=3",
            "b c",
        ];
        assert_eq!(named(&[], &cases), due);
        assert_eq!(named(&[], &["x.y=1", "x.y=2 ", "q=1"]), ["y=1", "y=2", "run"]);
    }

    #[test]
    fn what_a_sweep_calls_its_cases_comes_first() {
        let given = [Some("amp + decay"), Some("amp"), Some("amp"), None];
        let cases = [
            "rule.name=custom lr=1",
            "rule.name=custom lr=1",
            "rule.name=custom lr=2",
            "rule.name=backprop lr=1",
        ];
        assert_eq!(named(&given, &cases), ["amp + decay", "amp, lr=1", "amp, lr=2", "backprop"]);
        assert_eq!(named(&[Some("one")], &["a=1"]), ["one"]);
        let cases = ["rule.name=backprop train.epochs=3", "rule.name=backprop train.epochs=2"];
        assert_eq!(named(&[Some("backprop")], &cases), ["backprop", "backprop, epochs=2"]);
    }

    #[test]
    fn names_are_short_and_never_the_same() {
        let long = "v".repeat(100);
        let found = named(&[], &[&format!("k={long}1"), &format!("k={long}2")]);
        assert_eq!((found[0].chars().count(), found[1].as_str()), (61, format!("{} (2)", found[0]).as_str()));
    }
}
