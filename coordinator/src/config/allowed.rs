//! What a key's value may be: its type and its range, checked and put in words.

use std::fmt;

use serde::Deserialize;
use toml::Value;

use super::ConfigError;
use super::nearest::nearest;
use super::typed::words;

/// The values that a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Allowed {
    /// A whole number within these bounds, both included.
    Whole(i64, i64),
    /// A finite number: in words, and by a test.
    Number(&'static str, fn(f64) -> bool),
    /// `true` or `false`.
    Switch,
    /// Any text but the empty one.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list, not empty: in words, and what each item is.
    List(&'static str, &'static Allowed),
    /// Any of these: in words, and one by one.
    Any(&'static str, &'static [Allowed]),
}

use Allowed::{List, Number, Text, Whole};

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
/// A time.
pub(super) const SECONDS: Allowed =
    Number("a number of seconds from 0.1 to 86400", |x| (0.1..=86_400.0).contains(&x));
/// Some texts.
pub(super) const TEXTS: Allowed = List("a list of texts", &Text);
/// Some numbers.
pub(super) const NUMBERS: Allowed = List("a list of numbers", &FINITE);
/// Some numbers above 0.
pub(super) const POSITIVES: Allowed = List("a list of numbers above 0", &POSITIVE);
/// A size of something.
pub(super) const SMALL: Allowed = Whole(1, 65_536);
/// A count of something.
pub(super) const MANY: Allowed = Whole(1, i64::MAX);

/// The words of a type.
pub(super) fn one_of<T: for<'de> Deserialize<'de>>() -> Allowed {
    Allowed::Words(words::<T>())
}

impl Allowed {
    /// Checks the value of `key`; `place` says where it was found.
    pub(crate) fn check(&self, key: &str, place: &str, value: &Value) -> Result<(), ConfigError> {
        if self.admits(value) {
            return Ok(());
        }
        let hint = match (self, value) {
            (Allowed::Words(words), Value::String(word)) => near_word(words, word),
            _ => String::new(),
        };
        let found: String = value.to_string().chars().take(80).collect();
        Err(ConfigError::new(format!("{key} {place} is {found}: it must be {self}{hint}")))
    }

    fn admits(&self, value: &Value) -> bool {
        match self {
            Whole(least, most) => value.as_integer().is_some_and(|n| (*least..=*most).contains(&n)),
            Number(_, test) => number(value).is_some_and(|x| x.is_finite() && test(x)),
            Allowed::Switch => value.is_bool(),
            Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Allowed::Words(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            List(_, one) => {
                value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|item| one.admits(item)))
            }
            Allowed::Any(_, all) => all.iter().any(|one| one.admits(value)),
        }
    }
}

/// The value as a number, where it is one: TOML's whole numbers are numbers too.
fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

fn near_word(words: &[&str], word: &str) -> String {
    let near =
        nearest(word, words.iter().copied()).filter(|near| strsim::damerau_levenshtein(near, word) <= 3);
    near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"))
}

/// In words that end a sentence, as `a whole number from 1 to 9`.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whole(least, i64::MAX) => write!(f, "a whole number, {least} or more"),
            Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Number(words, _) | List(words, _) | Allowed::Any(words, _) => f.write_str(words),
            Allowed::Switch => f.write_str("true or false"),
            Text => f.write_str("a text"),
            Allowed::Words(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                match quoted.split_last() {
                    Some((last, [])) => f.write_str(last),
                    Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
                    None => Ok(()),
                }
            }
        }
    }
}
