//! The matrix of the five primitives: every combination of them as a rule, with coefficients of its own.

use super::range::{Range, Scale};
use crate::rule::Name;
use proto::spec::rule::{Needs, Primitive};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use toml::Value;

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
        self.0.iter().any(|member| member.needs() == Needs::Weight)
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
#[serde(deny_unknown_fields)]
pub struct Primitives {
    /// The combinations to try; `None` tries every combination.
    subsets: Option<Vec<Subset>>,
    /// The number of trials for each combination; a grid decides the number itself.
    pub trials_per_subset: Option<usize>,
    #[serde(default = "usual")]
    amp: Range,
    #[serde(default = "usual")]
    null: Range,
    #[serde(default = "usual")]
    sparse: Range,
    #[serde(default = "usual", rename = "self")]
    self_: Range,
    #[serde(default = "usual")]
    decay: Range,
}

/// The default range: coefficients about as large as those of the paper's rules, and as short runs need.
fn usual() -> Range {
    Range::Span { low: 1e-5, high: 1e-1, scale: Scale::Log, points: None }
}

impl Primitives {
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
    pub fn range(&self, primitive: Primitive) -> &Range {
        match primitive {
            Primitive::Amp => &self.amp,
            Primitive::Null => &self.null,
            Primitive::Sparse => &self.sparse,
            Primitive::Self_ => &self.self_,
            Primitive::Decay => &self.decay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{keys_of_table, words};

    #[test]
    fn every_primitive_is_in_the_list_and_has_a_range() {
        let all = Primitive::ALL.map(|one| one.to_string());
        assert_eq!(words::<Primitive>(), all);
        let ranges = keys_of_table::<Primitives>();
        assert!(all.iter().all(|one| ranges.contains(&one.as_str())), "{ranges:?}");
    }

    #[test]
    fn there_are_31_combinations_and_each_is_a_rule() {
        let all = Subset::all();
        assert_eq!(all.len(), 31);
        let names: Vec<String> = all.iter().map(Subset::to_string).collect();
        assert_eq!(names[..6], ["amp", "null", "sparse", "self", "decay", "amp+null"]);
        assert_eq!(names[30], "amp+null+sparse+self+decay");
        let settings = all[5].settings();
        assert_eq!(settings["rule.name"], Value::from("custom"));
        assert_eq!(settings["rule.decay"], Value::Float(0.0));
        assert!(!settings.contains_key("rule.amp"));
    }
}
