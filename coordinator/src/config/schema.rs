//! The schema of the keys: the `Key` type and the `section!` macro, which declares a table's type and keys in one
//! place.

use std::fmt;

use serde::Serialize;
use toml::Value;

use super::allowed::Allowed;

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The dotted name.
    pub(crate) path: String,
    /// The values that the key takes.
    pub(crate) allowed: Allowed,
    /// The default.
    pub(crate) unset: Unset,
    /// The purpose of the key, in one line.
    pub(crate) doc: &'static str,
}

/// The value of a key that is not set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unset {
    /// A fixed value.
    Is(Value),
    /// A value that other code derives, as these words describe.
    Follows(String),
}

/// A default.
pub(super) fn is(value: impl Serialize) -> Unset {
    Unset::Is(Value::try_from(value).expect("a default is TOML"))
}

/// A default that other code decides.
pub(super) fn follows(words: &str) -> Unset {
    Unset::Follows(words.to_owned())
}

/// Prints a cell of the reference.
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

    /// The key's name without the name of its table.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

/// Declares a table: each line is a field of its type and a key, `name: type = takes, default, "purpose";`. Fields
/// that are not keys themselves stand in `.. { … }`.
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
