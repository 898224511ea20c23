//! The matrix of the primitives: every combination of them as a rule, with coefficients of its own.

use super::range::{Range, Scale};
use crate::config::keys_of_table;
use crate::rule::Name;
use proto::spec::rule::Primitive;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use toml::{Table, Value};

/// A combination of primitives, each once, in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Primitive>", into = "Vec<Primitive>")]
pub struct Subset(Vec<Primitive>);

impl TryFrom<Vec<Primitive>> for Subset {
    type Error = String;

    fn try_from(mut members: Vec<Primitive>) -> Result<Self, String> {
        members.sort();
        members.dedup();
        if members.is_empty() { Err("a subset of the primitives is empty".into()) } else { Ok(Self(members)) }
    }
}

impl From<Subset> for Vec<Primitive> {
    fn from(subset: Subset) -> Self {
        subset.0
    }
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.0.iter().map(Primitive::to_string).collect();
        f.write_str(&keys.join("+"))
    }
}

impl Subset {
    /// Every combination, the smaller ones first.
    fn all() -> Vec<Subset> {
        let members =
            |bits: u32| Primitive::ALL.into_iter().filter(move |member| bits & (1 << *member as u32) != 0);
        let mut subsets: Vec<Subset> =
            (1..1 << Primitive::ALL.len()).map(|bits| Subset(members(bits).collect())).collect();
        subsets.sort_by_key(|subset| (subset.0.len(), subset.clone()));
        subsets
    }

    /// The primitives of the combination, in their order.
    pub fn members(&self) -> &[Primitive] {
        &self.0
    }

    /// Whether the combination needs W.
    pub fn reads_weight(&self) -> bool {
        self.0.iter().any(|member| member.reads_weight())
    }

    /// The keys that make the combination a rule, except for its own coefficients: the coefficients of the other
    /// primitives are 0, whatever the base configuration sets.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        let others = Primitive::ALL.into_iter().filter(|primitive| !self.0.contains(primitive));
        let zeros = others.map(|other| (format!("rule.{other}"), Value::Float(0.0)));
        zeros.chain([("rule.name".to_owned(), Value::from(Name::Custom.to_string()))]).collect()
    }
}

/// `[primitives]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct Primitives {
    /// The combinations to try; `None` tries every combination.
    subsets: Option<Vec<Subset>>,
    /// The number of trials for each combination; a grid decides the number itself.
    pub trials_per_subset: Option<usize>,
    /// The ranges of coefficients that the sweep sets itself.
    ranges: BTreeMap<Primitive, Range>,
}

/// The keys of `[primitives]` beside those of the primitives.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    subsets: Option<Vec<Subset>>,
    trials_per_subset: Option<usize>,
}

impl TryFrom<Table> for Primitives {
    type Error = toml::de::Error;

    fn try_from(table: Table) -> Result<Self, toml::de::Error> {
        let (ranges, keys): (Table, Table) =
            table.into_iter().partition(|(key, _)| Primitive::named(key).is_some());
        let Keys { subsets, trials_per_subset } = keys.try_into()?;
        Ok(Self { subsets, trials_per_subset, ranges: ranges.try_into()? })
    }
}

impl From<Primitives> for Table {
    fn from(Primitives { subsets, trials_per_subset, ranges }: Primitives) -> Self {
        let keys = Table::try_from(Keys { subsets, trials_per_subset });
        let mut table = keys.expect("lists and numbers are TOML");
        table.extend(Table::try_from(ranges).expect("ranges are TOML"));
        table
    }
}

impl Primitives {
    /// The keys of the table.
    pub fn keys() -> Vec<&'static str> {
        keys_of_table::<Keys>().iter().chain(Primitive::WORDS).copied().collect()
    }

    /// The combinations, each once.
    pub fn subsets(&self) -> Vec<Subset> {
        let mut seen: Vec<Subset> = Vec::new();
        for subset in self.subsets.clone().unwrap_or_else(Subset::all) {
            if !seen.contains(&subset) {
                seen.push(subset);
            }
        }
        seen
    }

    /// The range of the coefficient of `primitive`.
    pub fn range(&self, primitive: Primitive) -> Range {
        let [low, high] = primitive.facts().range;
        let usual = || Range::Span { low, high, scale: Scale::Log, points: None };
        self.ranges.get(&primitive).cloned().unwrap_or_else(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_is_written_and_refuses_what_it_does_not_know() {
        let text =
            "trials_per_subset = 2\nsubsets = [[\"decay\", \"amp\"]]\namp = { low = 1e-3, high = 1.0 }";
        let read: Primitives = text.parse::<Table>().unwrap().try_into().unwrap();
        assert_eq!(Table::try_from(read.clone()).unwrap().try_into::<Primitives>().unwrap(), read);
        let [low, high] = Primitive::Decay.facts().range;
        let usual = Range::Span { low, high, scale: Scale::Log, points: None };
        assert_eq!(read.range(Primitive::Decay), usual);
        assert!(matches!(read.range(Primitive::Amp), Range::Span { low: 1e-3, .. }));
        assert!(format!("{text}\nmirror = 1").parse::<Table>().unwrap().try_into::<Primitives>().is_err());
        assert!(Primitives::keys().contains(&"subsets") && Primitives::keys().contains(&"self"));
    }

    #[test]
    fn every_combination_of_the_primitives_is_a_rule() {
        let all = Subset::all();
        assert_eq!(all.len(), (1 << Primitive::COUNT) - 1);
        let names: Vec<String> = all.iter().map(Subset::to_string).collect();
        assert_eq!(names[..Primitive::COUNT], *Primitive::WORDS);
        assert_eq!(names[Primitive::COUNT], "amp+null");
        assert_eq!(names[all.len() - 1], Primitive::WORDS.join("+"));
        let settings = all[Primitive::COUNT].settings();
        assert_eq!(settings["rule.name"], Value::from("custom"));
        assert_eq!(settings["rule.decay"], Value::Float(0.0));
        assert!(!settings.contains_key("rule.amp"));
    }
}
