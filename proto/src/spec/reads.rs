//! The values that the updates of B read. A rule declares them by its specification ([`RuleSpec::reads`]), and a node
//! records which of them its rule was given.
//!
//! [`RuleSpec::reads`]: super::rule::RuleSpec::reads

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
    /// No value.
    pub const NOTHING: Self = Self { x: false, y: false, error: false, backward: false, weight: false };

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_values_are_within_more() {
        let read = Reads { x: true, ..Reads::default() };
        assert!(read.within(Reads { x: true, y: true, ..Reads::default() }));
        assert!(!read.within(Reads { y: true, ..Reads::default() }));
    }
}
