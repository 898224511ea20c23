//! What a key's value may be: its type and its range, checked and put in words.

use std::fmt;

use toml::Value;

use super::ConfigError;
use super::nearest::nearest;

/// The values that a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Allowed {
    /// A whole number within these bounds, both included.
    Whole(i64, i64),
    /// Any finite number.
    Finite,
    /// A finite number, 0 or more.
    NotNegative,
    /// A finite number above 0.
    Positive,
    /// From 0 to below 1.
    Fraction,
    /// Above 0, up to 1.
    Share,
    /// A time, in seconds.
    Seconds,
    /// `true` or `false`.
    Switch,
    /// Any text but the empty one.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list, not empty, of such values.
    List(&'static Allowed),
    /// What `pipeline.stages` takes.
    Stages,
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
        let number = number(value).filter(|number| number.is_finite());
        let is = |test: fn(f64) -> bool| number.is_some_and(test);
        match self {
            Allowed::Whole(least, most) => value.as_integer().is_some_and(|n| (*least..=*most).contains(&n)),
            Allowed::Finite => number.is_some(),
            Allowed::NotNegative => is(|x| x >= 0.0),
            Allowed::Positive => is(|x| x > 0.0),
            Allowed::Fraction => is(|x| (0.0..1.0).contains(&x)),
            Allowed::Share => is(|x| x > 0.0 && x <= 1.0),
            Allowed::Seconds => is(|x| (0.1..=86_400.0).contains(&x)),
            Allowed::Switch => value.is_bool(),
            Allowed::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Allowed::Words(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Allowed::List(one) => {
                value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|item| one.admits(item)))
            }
            Allowed::Stages => [COUNT, CUTS, Allowed::Words(&["per_layer", "per_block"])]
                .iter()
                .any(|allowed| allowed.admits(value)),
        }
    }
}

const COUNT: Allowed = Allowed::Whole(1, 10_000);
const CUTS: Allowed = Allowed::List(&Allowed::Text);

/// The value as a number, where it is one: TOML's whole numbers are numbers too.
pub(crate) fn number(value: &Value) -> Option<f64> {
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
            Allowed::Whole(least, i64::MAX) => write!(f, "a whole number, {least} or more"),
            Allowed::Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Allowed::Finite => f.write_str("a finite number"),
            Allowed::NotNegative => f.write_str("a number, 0 or more"),
            Allowed::Positive => f.write_str("a number above 0"),
            Allowed::Fraction => f.write_str("a number from 0 to below 1"),
            Allowed::Share => f.write_str("a number above 0, up to 1"),
            Allowed::Seconds => f.write_str("a number of seconds from 0.1 to 86400"),
            Allowed::Switch => f.write_str("true or false"),
            Allowed::Text => f.write_str("a text"),
            Allowed::Words([only]) => write!(f, "\"{only}\""),
            Allowed::Words(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                let (last, others) = quoted.split_last().ok_or(fmt::Error)?;
                write!(f, "{} or {last}", others.join(", "))
            }
            Allowed::List(Allowed::Text) => f.write_str("a list of texts"),
            Allowed::List(Allowed::Positive) => f.write_str("a list of numbers above 0"),
            Allowed::List(_) => f.write_str("a list of numbers"),
            Allowed::Stages => f.write_str(
                "a number of stages, \"per_layer\", \"per_block\", or a list of the layers that begin a new stage",
            ),
        }
    }
}
