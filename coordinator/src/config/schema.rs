//! A table's type and its keys, written down once: what each key takes, its default, and what it is for.

use std::fmt;

use serde::Serialize;
use toml::Value;

use super::allowed::Allowed;

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The dotted name.
    pub(crate) path: String,
    /// What it takes.
    pub(crate) allowed: Allowed,
    /// What it is by default.
    pub(crate) unset: Unset,
    /// What it is for, in one line.
    pub(crate) doc: &'static str,
}

/// What a key is when nobody sets it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unset {
    /// This value.
    Is(Value),
    /// What these words say; code elsewhere follows them.
    Follows(String),
}

/// A default.
pub(super) fn is(value: impl Serialize) -> Unset {
    Unset::Is(Value::try_from(value).expect("a default is TOML"))
}

/// A default that code elsewhere decides.
pub(super) fn follows(words: &str) -> Unset {
    Unset::Follows(words.to_owned())
}

/// As a column of the reference.
impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unset::Is(Value::Float(small)) if (1e-9..1e-3).contains(small) => write!(f, "`{small:e}`"),
            Unset::Is(value) => write!(f, "`{value}`"),
            Unset::Follows(words) => f.write_str(words),
        }
    }
}

impl Key {
    pub(super) fn new(table: &str, name: &str, allowed: Allowed, unset: Unset, doc: &'static str) -> Self {
        Key { path: format!("{table}.{name}"), allowed, unset, doc }
    }

    /// Its name without the table's.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// Declares a table: each line is a field of its type and a key, `name: type = takes, default, "what for";`. Fields
/// that are no keys of their own stand in `.. { … }`.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($key:ident: $type:ty = $allowed:expr, $unset:expr, $doc:literal;)*
            $(.. { $($also:tt)* })?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $(#[doc = $doc] pub $key: $type,)*
            $($($also)*)?
        }

        impl $name {
            /// The keys, in the order of the reference.
            pub(super) fn keys(table: &str) -> Vec<Key> {
                vec![$(Key::new(table, stringify!($key), $allowed, $unset, $doc)),*]
            }
        }
    };
}
pub(super) use section;
