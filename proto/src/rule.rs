//! How B learns: a rule's name, and the primitives that it is made of.
//!
//! The primitives and the coefficients by which the paper's rules mix them are those of Kunin et al.,
//! "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020, in the convention
//! of its code: squared terms carry no ½.

use crate::error::DoorError;

/// The coefficients of the primitives in B's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// −Σ mean(z ∘ y): B's output should agree with W's.
    pub amp: f64,
    /// Σ mean(r²): what B sends back of y should be small.
    pub null: f64,
    /// Σ mean(z²): B's output should be small.
    pub sparse: f64,
    /// −Σ W ∘ B: B should point where W points. The one primitive that reads W.
    pub self_: f64,
    /// Σ B².
    pub decay: f64,
}

/// What trains a layer's backward weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum RuleSpec {
    /// B is W itself: weight transport, the rule that all others avoid.
    #[default]
    Backprop,
    /// B is a tensor of its own and follows the gradient of its own loss.
    Learned {
        /// The rule's name in the paper, or `custom`.
        name: String,
        /// Whether W's own task gradient is added to B's (Kolen-Pollack).
        task: bool,
        /// The primitives in B's loss; all zero leaves B as it was drawn (feedback alignment).
        coefficients: Coefficients,
    },
}

impl RuleSpec {
    /// The rule's name in the paper, or `custom`.
    pub fn name(&self) -> &str {
        match self {
            RuleSpec::Backprop => "backprop",
            RuleSpec::Learned { name, .. } => name,
        }
    }

    /// Whether the rule must be given W: backprop, and whatever uses the self primitive.
    pub fn reads_weight(&self) -> bool {
        match self {
            RuleSpec::Backprop => true,
            RuleSpec::Learned { coefficients, .. } => coefficients.self_ != 0.0,
        }
    }

    pub(crate) fn check(self) -> Result<Self, DoorError> {
        if let RuleSpec::Learned { name, coefficients: c, .. } = &self {
            let finite = [c.amp, c.null, c.sparse, c.self_, c.decay].iter().all(|value| value.is_finite());
            if !finite || name.len() > crate::graph::MAX_NAME {
                return Err(DoorError::invalid("a rule's coefficients must be finite and its name short"));
            }
        }
        Ok(self)
    }
}
