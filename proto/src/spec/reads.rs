//! The values that the updates of B read. A rule declares them by its specification, and a node records which of them
//! its rule was given.

use super::primitive::Primitive;
use super::rule::{Magnitude, RuleSpec, Transfer};
use std::fmt;

/// Some of the values of a weight layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// x, the layer's input, or the noise that takes its place.
    pub x: bool,
    /// y, the product of W and x.
    pub y: bool,
    /// The error signal at y.
    pub error: bool,
    /// B.
    pub backward: bool,
    /// W.
    pub weight: bool,
}

impl Reads {
    /// Whether every value of `self` is one of `others`.
    pub fn within(self, others: Self) -> bool {
        self.values().into_iter().zip(others.values()).all(|((own, _), (allowed, _))| !own || allowed)
    }

    /// The names of the values: `x`, `y`, `error`, `B` and `W`.
    pub fn names(self) -> Vec<&'static str> {
        self.values().into_iter().filter(|(read, _)| *read).map(|(_, name)| name).collect()
    }

    /// The values of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            x: self.x || other.x,
            y: self.y || other.y,
            error: self.error || other.error,
            backward: self.backward || other.backward,
            weight: self.weight || other.weight,
        }
    }

    fn values(self) -> [(bool, &'static str); 5] {
        let Self { x, y, error, backward, weight } = self;
        [(x, "x"), (y, "y"), (error, "error"), (backward, "B"), (weight, "W")]
    }
}

/// Prints the values, as in `x, y, B`; `nothing` where there is none.
impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        if names.is_empty() { f.write_str("nothing") } else { f.write_str(&names.join(", ")) }
    }
}

impl RuleSpec {
    /// The values that the updates of B may read under this rule. Under backprop B is W, so that it reads W.
    pub fn reads(&self) -> Reads {
        match self {
            RuleSpec::Backprop => Reads { weight: true, ..Reads::default() },
            RuleSpec::SignSymmetry { magnitude } => {
                Reads { weight: true, backward: *magnitude == Magnitude::Fixed, ..Reads::default() }
            }
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                let has = |primitive| coefficients.of(primitive) != 0.0;
                let samples = coefficients.use_samples();
                Reads {
                    x: samples || *task,
                    y: coefficients.use_output(),
                    error: *task,
                    backward: [Primitive::Null, Primitive::Sparse, Primitive::Decay].into_iter().any(has)
                        || samples && alignment.transfer != Transfer::Identity,
                    weight: has(Primitive::Self_),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::rule::Coefficients;

    #[test]
    fn each_primitive_reads_what_its_formula_names() {
        let read = |primitive| {
            let coefficients = Coefficients::default().with(primitive, 1.0);
            RuleSpec::learned("custom", false, coefficients).reads().to_string()
        };
        assert_eq!(Primitive::ALL.map(read), ["x, y", "x, y, B", "x, B", "W", "B"]);
        let named = |rule: RuleSpec| rule.reads().to_string();
        assert_eq!(named(RuleSpec::learned("feedback_alignment", false, Coefficients::default())), "nothing");
        let decay = Coefficients { decay: 1.0, ..Coefficients::default() };
        assert_eq!(named(RuleSpec::learned("kolen_pollack", true, decay)), "x, error, B");
        assert_eq!(named(RuleSpec::Backprop), "W");
        let read = Reads { x: true, ..Reads::default() };
        assert!(read.within(Reads { x: true, y: true, ..Reads::default() }));
        assert!(!read.within(Reads { y: true, ..Reads::default() }));
    }
}
