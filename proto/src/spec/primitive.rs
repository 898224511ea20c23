//! The primitives: the terms that B's loss can have, the values that each of them needs, and their coefficients.
//!
//! They are those of Kunin et al., "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020, in
//! the convention of its code: squared terms carry no ½.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Primitive {
    /// −Σ mean(z ∘ y): B's output should agree with W's.
    Amp,
    /// Σ mean(r²): r, which B computes from y, should be small.
    Null,
    /// Σ mean(z²): B's output should be small.
    Sparse,
    /// −Σ W ∘ B: B should point in W's direction.
    #[serde(rename = "self")]
    Self_,
    /// Σ B²: B should be small.
    Decay,
}

/// The values that a primitive needs beside B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing else.
    Nothing,
    /// The layer's input x.
    Input,
    /// The layer's input x, and y, the product of W and x.
    Output,
    /// W itself.
    Weight,
}

impl Primitive {
    /// Every primitive, in the order of its key.
    pub const ALL: [Self; 5] = [Self::Amp, Self::Null, Self::Sparse, Self::Self_, Self::Decay];

    /// The values that the primitive needs.
    pub const fn needs(self) -> Needs {
        match self {
            Self::Amp | Self::Null => Needs::Output,
            Self::Sparse => Needs::Input,
            Self::Self_ => Needs::Weight,
            Self::Decay => Needs::Nothing,
        }
    }
}

/// Prints the primitive's key below `rule`.
impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The coefficients of the primitives in B's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coefficients {
    /// The coefficient of [`Primitive::Amp`].
    pub amp: f64,
    /// The coefficient of [`Primitive::Null`].
    pub null: f64,
    /// The coefficient of [`Primitive::Sparse`].
    pub sparse: f64,
    /// The coefficient of [`Primitive::Self_`].
    #[serde(rename = "self")]
    pub self_: f64,
    /// The coefficient of [`Primitive::Decay`].
    pub decay: f64,
}

impl Coefficients {
    /// The coefficient of `primitive`.
    pub const fn of(&self, primitive: Primitive) -> f64 {
        match primitive {
            Primitive::Amp => self.amp,
            Primitive::Null => self.null,
            Primitive::Sparse => self.sparse,
            Primitive::Self_ => self.self_,
            Primitive::Decay => self.decay,
        }
    }

    /// The same coefficients, with `value` as that of `primitive`.
    #[must_use]
    pub const fn with(self, primitive: Primitive, value: f64) -> Self {
        match primitive {
            Primitive::Amp => Self { amp: value, ..self },
            Primitive::Null => Self { null: value, ..self },
            Primitive::Sparse => Self { sparse: value, ..self },
            Primitive::Self_ => Self { self_: value, ..self },
            Primitive::Decay => Self { decay: value, ..self },
        }
    }

    /// Whether any primitive with a coefficient needs one of these.
    fn need(&self, any: &[Needs]) -> bool {
        Primitive::ALL.into_iter().any(|one| self.of(one) != 0.0 && any.contains(&one.needs()))
    }

    /// Whether the primitives need y, the product of W and x.
    pub fn use_output(&self) -> bool {
        self.need(&[Needs::Output])
    }

    /// Whether the primitives need samples.
    pub fn use_samples(&self) -> bool {
        self.need(&[Needs::Input, Needs::Output])
    }

    pub(super) fn are_finite(&self) -> bool {
        Primitive::ALL.into_iter().all(|one| self.of(one).is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_primitive_has_a_coefficient_of_its_own() {
        for (value, one) in (1..).map(f64::from).zip(Primitive::ALL) {
            let alone = Coefficients::default().with(one, value);
            let found = Primitive::ALL.map(|other| alone.of(other));
            assert_eq!(found.iter().filter(|found| **found != 0.0).collect::<Vec<_>>(), [&value], "{one}");
            assert_eq!(alone.use_samples(), matches!(one.needs(), Needs::Input | Needs::Output), "{one}");
            assert!(!alone.with(one, f64::NAN).are_finite(), "{one}");
        }
    }
}
