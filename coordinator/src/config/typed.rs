//! Types as serde sees them: the words of an enumeration and the keys of a table. The module also converts a
//! checked table to its type.

use std::fmt::Display;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, Visitor};
use toml::{Table, Value};

/// The reason why a value does not fit a type.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The value holds an unknown name; these are the known names.
    #[error("unknown name: {0:?} are known")]
    Unknown(&'static [&'static str]),
    /// The value lacks this key.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// Any other reason.
    #[error("{0}")]
    Other(String),
}

impl Error for Fault {
    fn custom<T: Display>(why: T) -> Self {
        Fault::Other(why.to_string())
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Fault::Unknown(known)
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Fault::Unknown(known)
    }

    fn missing_field(name: &'static str) -> Self {
        Fault::Missing(name)
    }
}

/// The words of an enumeration without fields.
pub(crate) fn words<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    known::<T>(&Value::from(""))
}

/// The words that `tag` takes in an internally tagged enumeration.
pub(super) fn tags<T: for<'de> Deserialize<'de>>(tag: &str) -> &'static [&'static str] {
    known::<T>(&table(&[(tag, "")]))
}

/// The keys beside `tag`, where `tag` is `word`.
pub(super) fn keys_of<T: for<'de> Deserialize<'de>>(tag: &str, word: &str) -> &'static [&'static str] {
    known::<T>(&table(&[(tag, word), ("", "")]))
}

/// The keys of a table that refuses unknown keys.
pub(crate) fn keys<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    known::<T>(&table(&[("", "")]))
}

fn table(pairs: &[(&str, &str)]) -> Value {
    Value::Table(pairs.iter().map(|(key, word)| (key.to_string(), Value::from(*word))).collect::<Table>())
}

/// The names that a type knows, taken from its refusal of `wrong`, which holds an empty name.
fn known<T: for<'de> Deserialize<'de>>(wrong: &Value) -> &'static [&'static str] {
    match T::deserialize(Item(wrong)) {
        Err(Fault::Unknown(names)) => names,
        _ => &[],
    }
}

/// A TOML value as a deserializer whose faults can be told apart.
pub(super) struct Item<'a>(pub(super) &'a Value);

impl<'a> IntoDeserializer<'a, Fault> for Item<'a> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Item<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(switch) => visitor.visit_bool(*switch),
            Value::Datetime(time) => visitor.visit_string(time.to_string()),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Item))),
            Value::Table(table) => {
                let pairs = table.iter().map(|(key, value)| (key.as_str(), Item(value)));
                visitor.visit_map(MapDeserializer::new(pairs))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let word: StrDeserializer<'_, Fault> = self.0.as_str().unwrap_or_default().into_deserializer();
        visitor.visit_enum(word)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
