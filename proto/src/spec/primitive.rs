//! The primitives: the terms that B's loss can have, and the facts of each of them. Its key in a configuration, its name on
//! the wire, its line of the reference, its range in a sweep, the values that cross between the hosts of W and B for it and
//! the check of what it reads all follow from its entry here.
//!
//! The first five are those of Kunin et al., "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020,
//! in the convention of its code: squared terms carry no ½. In the formulas y = map(x, W), z = map(x, B) and
//! r = adjoint(y, B); sums run over features and positions, means over the batch.

use super::reads::Reads;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The facts of a primitive. Its gradient is in `layer-node/src/rule/primitives.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The line of its key in the reference.
    pub doc: &'static str,
    /// The values that its gradient reads.
    pub reads: Reads,
    /// The passes over samples that it takes, each with the work of a forward.
    pub passes: u64,
    /// Its effect on B.
    pub effect: Effect,
    /// The lowest and the highest coefficient that a sweep tries, if it is not told others.
    pub range: [f64; 2],
}

/// The effect on B of a primitive with a coefficient above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It pulls B towards W.
    Pulls,
    /// It keeps B from growing.
    Holds,
}

/// Coefficients about as large as those of the paper's rules, and as short runs need.
const USUAL: [f64; 2] = [1e-5, 1e-1];

/// Declares the primitives: each entry is a variant, its word, its value, its purpose and its other facts.
macro_rules! primitives {
    ($($name:ident $word:literal = $value:literal, $purpose:literal, $facts:expr;)+) => {
        /// A primitive.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Primitive {
            $(#[doc = concat!($value, ": ", $purpose)] #[serde(rename = $word)] $name,)+
        }

        impl Primitive {
            /// The number of primitives.
            pub const COUNT: usize = Self::WORDS.len();
            /// Every primitive, in the order of its key.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$name),+];
            /// Their keys below `rule`, which are their names on the wire as well.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The facts of the primitive.
            pub const fn facts(self) -> Facts {
                match self {
                    $(Self::$name => Facts {
                        doc: concat!("coefficient of ", $value, ": ", $purpose),
                        ..$facts
                    },)+
                }
            }
        }
    };
}

/// Facts without a doc, which the entry itself makes.
const fn facts(reads: Reads, passes: u64, effect: Effect, range: [f64; 2]) -> Facts {
    Facts { doc: "", reads, passes, effect, range }
}

const NOTHING: Reads = Reads::NOTHING;

primitives! {
    Amp "amp" = "−Σ mean(z∘y)", "B's output should agree with W's",
        facts(Reads { x: true, y: true, ..NOTHING }, 1, Effect::Pulls, USUAL);
    Null "null" = "Σ mean(r²)", "what B sends back of y should be small",
        facts(Reads { x: true, y: true, backward: true, ..NOTHING }, 2, Effect::Holds, USUAL);
    Sparse "sparse" = "Σ mean(z²)", "B's output should be small",
        facts(Reads { x: true, backward: true, ..NOTHING }, 2, Effect::Holds, USUAL);
    Self_ "self" = "−ΣW∘B", "B should point where W does; reads W",
        facts(Reads { weight: true, ..NOTHING }, 0, Effect::Pulls, USUAL);
    Decay "decay" = "ΣB²", "B should be small",
        facts(Reads { backward: true, ..NOTHING }, 0, Effect::Holds, USUAL);
}

impl Primitive {
    /// The primitive with the key `word`.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// The primitive's key below `rule`.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// Whether the primitive learns from samples: from the layer's input or from noise in its place.
    pub fn uses_samples(self) -> bool {
        self.facts().reads.x
    }

    /// Whether the primitive reads W.
    pub fn reads_weight(self) -> bool {
        self.facts().reads.weight
    }
}

/// Prints the primitive's key.
impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_primitive_has_facts_that_fit_together() {
        for one in Primitive::ALL {
            let Facts { doc, reads, passes, range: [low, high], .. } = one.facts();
            assert_eq!(Primitive::named(one.word()), Some(one));
            assert!(doc.starts_with("coefficient of "), "{one}: {doc}");
            assert!(reads.x || !reads.y, "{one}: y is the product of W and x");
            assert_eq!(passes > 0, one.uses_samples(), "{one}");
            assert!(0.0 < low && low < high, "{one}");
        }
    }
}
