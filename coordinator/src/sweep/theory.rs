//! What the fixed point of a combination of primitives says: pure mathematics, no measurement.
//!
//! With inputs of covariance Σ (of x, not centred unless the rule centres it), B's loss is quadratic, and where
//! its slope is zero
//!
//! ```text
//! 2 sparse · BΣ + 2 null · (WΣWᵀ)B + 2 decay · B = amp · WΣ + self · W
//! ```
//!
//! The left side holds B, the right side pulls it. Kunin et al. 2020 has the named ones.

use super::primitives::{Primitive, Subset};
use Primitive::{Amp, Decay, Null, Self_, Sparse};

/// One sentence on where B goes under these primitives.
pub fn theory(subset: &Subset) -> &'static str {
    let has = |primitive| subset.members().contains(&primitive);
    let (pull, hold) = ([has(Amp), has(Self_)], [has(Null), has(Sparse), has(Decay)]);
    match (pull, hold) {
        ([false, false], _) => "nothing pulls B to W: B only shrinks, and the error with it",
        ([false, true], [false, false, false]) => {
            "B grows along W without bound: the angle closes, ‖B‖ does not settle"
        }
        ([true, false], [false, false, false]) => "B grows along WΣ without bound",
        ([true, true], [false, false, false]) => "B grows along W(amp · Σ + self · I) without bound",
        ([true, false], [false, false, true]) => "weight mirror: B ∝ WΣ, aligned where Σ ∝ I",
        ([false, true], [false, false, true]) => "symmetric alignment: B = self / (2 decay) · W",
        ([true, false], [false, true, false]) => "activation alignment: B = amp / (2 sparse) · W, for any Σ",
        ([true, false], [true, false, true]) => {
            "information alignment: B is a regularised pseudo-inverse of W"
        }
        ([true, false], [true, false, false]) => {
            "B is a pseudo-inverse of W; where WΣWᵀ is singular it stays as drawn"
        }
        ([false, true], [false, true, false]) => "B ∝ WΣ⁻¹: directions of little variance are overdrawn",
        ([false, true], [true, false, false]) => "B ∝ (WΣWᵀ)⁻¹W; it grows only where Σ is singular",
        ([true, true], [false, false, true]) => {
            "B ∝ W(amp · Σ + self · I): between weight mirror and symmetric alignment"
        }
        ([true, true], [false, true, false]) => "B ∝ W(amp · I + self · Σ⁻¹)",
        ([_, _], [false, true, true]) => {
            "pulled and held in every direction: B is W seen through a function of Σ"
        }
        ([_, _], [true, ..]) => "null bends B towards a pseudo-inverse of W, the others towards W",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_rules_are_called_by_their_names() {
        let of = |members: &str| theory(&serde_json::from_str::<Subset>(members).unwrap());
        assert!(of("[\"amp\", \"decay\"]").starts_with("weight mirror"));
        assert!(of("[\"self\", \"decay\"]").starts_with("symmetric"));
        assert!(of("[\"amp\", \"sparse\"]").starts_with("activation"));
        assert!(of("[\"amp\", \"null\", \"decay\"]").starts_with("information"));
        assert!(of("[\"null\", \"sparse\", \"decay\"]").starts_with("nothing pulls"));
        assert!(of("[\"amp\", \"self\"]").contains("without bound"));
    }
}
