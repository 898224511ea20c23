//! The coefficients of the primitives in B's loss.

use super::primitive::Primitive;
use super::reads::Reads;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A coefficient for each primitive; 0 leaves the primitive out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coefficients([f64; Primitive::COUNT]);

impl Coefficients {
    /// These coefficients, and 0 for every other primitive.
    pub const fn new(terms: &[(Primitive, f64)]) -> Self {
        let mut all = Self([0.0; Primitive::COUNT]);
        let mut at = 0;
        while at < terms.len() {
            all = all.with(terms[at].0, terms[at].1);
            at += 1;
        }
        all
    }

    /// The coefficient of `primitive`.
    pub const fn of(&self, primitive: Primitive) -> f64 {
        self.0[primitive as usize]
    }

    /// The same coefficients, with `value` as that of `primitive`.
    #[must_use]
    pub const fn with(mut self, primitive: Primitive, value: f64) -> Self {
        self.0[primitive as usize] = value;
        self
    }

    /// The primitives whose coefficient is not 0, in their order.
    pub fn terms(&self) -> impl Iterator<Item = (Primitive, f64)> {
        Primitive::ALL.into_iter().zip(self.0).filter(|(_, value)| *value != 0.0)
    }

    /// Whether B has no loss.
    pub fn are_zero(&self) -> bool {
        self.terms().next().is_none()
    }

    /// The values that the primitives read.
    pub fn reads(&self) -> Reads {
        self.terms().fold(Reads::NOTHING, |reads, (one, _)| reads.or(one.facts().reads))
    }

    /// Whether the primitives need y, the product of W and x.
    pub fn use_output(&self) -> bool {
        self.reads().y
    }

    /// Whether the primitives need samples.
    pub fn use_samples(&self) -> bool {
        self.terms().any(|(one, _)| one.uses_samples())
    }

    pub(super) fn are_finite(&self) -> bool {
        self.0.iter().all(|value| value.is_finite())
    }
}

/// A table with every primitive's key.
impl Serialize for Coefficients {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_map(Some(Primitive::COUNT))?;
        for (one, value) in Primitive::ALL.into_iter().zip(self.0) {
            table.serialize_entry(one.word(), &value)?;
        }
        table.end()
    }
}

/// From the keys of primitives in a table; one that is missing, as in a file of an older release, is 0.
impl<'de> Deserialize<'de> for Coefficients {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Coefficients;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the coefficients of primitives")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Coefficients, A::Error> {
                let mut found = Coefficients::default();
                while let Some((one, value)) = map.next_entry::<Primitive, f64>()? {
                    found = found.with(one, value);
                }
                Ok(found)
            }
        }

        deserializer.deserialize_struct("Coefficients", Primitive::WORDS, Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_primitive_has_a_coefficient_of_its_own() {
        for (value, one) in (1..).map(f64::from).zip(Primitive::ALL) {
            let alone = Coefficients::new(&[(one, value)]);
            assert_eq!(alone.terms().collect::<Vec<_>>(), [(one, value)]);
            assert_eq!(alone.reads(), one.facts().reads, "{one}");
            assert!(!alone.with(one, f64::NAN).are_finite(), "{one}");
            let written = toml::Table::try_from(alone).unwrap();
            assert_eq!(written.keys().collect::<Vec<_>>().len(), Primitive::COUNT);
            assert_eq!(written.try_into::<Coefficients>().unwrap(), alone);
        }
        let older = "amp = 2.0".parse::<toml::Table>().unwrap();
        assert_eq!(older.try_into::<Coefficients>().unwrap(), Coefficients::new(&[(Primitive::Amp, 2.0)]));
    }
}
