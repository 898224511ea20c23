//! The types and ranges of values: `Allowed` describes the values of a key, checks a value, and prints itself.

use std::fmt;

use proto::spec::stage::is_power_of_two;
use serde::Deserialize;
use toml::Value;

use super::ConfigError;
use super::advice::{advice, either};
use super::typed::words;

/// The values that a key may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Allowed {
    /// A whole number within these bounds, both included.
    Whole(i64, i64),
    /// A finite number: the range in words, and its test.
    Number(&'static str, fn(f64) -> bool),
    /// `true` or `false`.
    Switch,
    /// Any text but the empty one.
    Text,
    /// A text of a certain form: the form in words, and its test.
    Named(&'static str, fn(&str) -> bool),
    /// One of the listed words.
    Words(&'static [&'static str]),
    /// A list with at least one item: its description, and the values of an item.
    List(&'static str, &'static Allowed),
    /// A list of so many items: its description, the number of items, and the values of an item.
    Tuple(&'static str, usize, &'static Allowed),
    /// One of several alternatives: a description of all, and the list.
    Any(&'static str, &'static [Allowed]),
}

use Allowed::{List, Named, Number, Text, Tuple, Whole};

/// Any finite number.
pub(super) const FINITE: Allowed = Number("a finite number", |_| true);
/// 0 or more.
pub(super) const NOT_NEGATIVE: Allowed = Number("a number, 0 or more", |x| x >= 0.0);
/// Above 0.
pub(super) const POSITIVE: Allowed = Number("a number above 0", |x| x > 0.0);
/// From 0 to below 1.
pub(super) const FRACTION: Allowed = Number("a number from 0 to below 1", |x| (0.0..1.0).contains(&x));
/// Above 0, up to 1.
pub(super) const SHARE: Allowed = Number("a number above 0, up to 1", |x| x > 0.0 && x <= 1.0);
/// A factor that rounds no number.
pub(super) const POWER_OF_TWO: Allowed =
    Number("a power of two from 1 to 16777216", |x| (1.0..=16_777_216.0).contains(&x) && is_power_of_two(x));
/// A time.
pub(super) const SECONDS: Allowed =
    Number("a number of seconds from 0.1 to 86400", |x| (0.1..=86_400.0).contains(&x));
/// A list of texts.
pub(super) const TEXTS: Allowed = List("a list of texts", &Text);
/// A list of numbers.
pub(super) const NUMBERS: Allowed = List("a list of numbers", &FINITE);
/// A list of numbers above 0.
pub(super) const POSITIVES: Allowed = List("a list of numbers above 0", &POSITIVE);
/// A size.
pub(super) const SMALL: Allowed = Whole(1, 65_536);
/// A count.
pub(super) const MANY: Allowed = Whole(1, i64::MAX);

/// The words of the enumeration `T`.
pub(super) fn one_of<T: for<'de> Deserialize<'de>>() -> Allowed {
    Allowed::Words(words::<T>())
}

impl Allowed {
    /// Checks the value of `key`; `place` names the source of the value.
    pub(crate) fn check(&self, key: &str, place: &str, value: &Value) -> Result<(), ConfigError> {
        if self.admits(value) {
            return Ok(());
        }
        let advice = value.as_str().and_then(|word| advice(word, &self.words()));
        let hint = advice.map_or_else(String::new, |advice| format!("; {}", advice.phrase('"')));
        let found: String = value.to_string().chars().take(80).collect();
        Err(ConfigError::new(format!("{key} {place} is {found}: it must be {self}{hint}")))
    }

    /// The words among the values.
    pub(super) fn words(&self) -> Vec<&'static str> {
        match self {
            Allowed::Words(words) => words.to_vec(),
            Allowed::Any(_, all) => all.iter().flat_map(Allowed::words).collect(),
            _ => Vec::new(),
        }
    }

    fn admits(&self, value: &Value) -> bool {
        match self {
            Whole(least, most) => value.as_integer().is_some_and(|n| (*least..=*most).contains(&n)),
            Number(_, test) => number(value).is_some_and(|x| x.is_finite() && test(x)),
            Allowed::Switch => value.is_bool(),
            Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Named(_, test) => value.as_str().is_some_and(test),
            Allowed::Words(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            List(_, one) => {
                value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|item| one.admits(item)))
            }
            Tuple(_, count, one) => value
                .as_array()
                .is_some_and(|all| all.len() == *count && all.iter().all(|item| one.admits(item))),
            Allowed::Any(_, all) => all.iter().any(|one| one.admits(value)),
        }
    }
}

/// The value as a number, if it is a number. TOML's whole numbers count too.
fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

/// Prints a phrase that ends a sentence, as in `a whole number from 1 to 9`.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whole(least, i64::MAX) => write!(f, "a whole number, {least} or more"),
            Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Number(words, _)
            | Named(words, _)
            | List(words, _)
            | Tuple(words, ..)
            | Allowed::Any(words, _) => f.write_str(words),
            Allowed::Switch => f.write_str("true or false"),
            Text => f.write_str("a text"),
            Allowed::Words(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                f.write_str(&either(&quoted))
            }
        }
    }
}
