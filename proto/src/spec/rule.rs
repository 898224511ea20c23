//! Rules by which B learns: a rule's name and its primitives.
//!
//! The primitives and the coefficients by which the paper's rules mix them are those of Kunin et al.,
//! "Two Routes to Scalable Credit Assignment without Weight Symmetry", ICML 2020, in the convention
//! of its code: squared terms carry no ½.

pub use super::alignment::{Alignment, Centering, Input, Mirror, Noise, Transfer};

use crate::error::ProtocolError;
use serde::{Deserialize, Serialize};

/// The coefficients of the primitives in B's loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coefficients {
    /// −Σ mean(z ∘ y): B's output should agree with W's.
    pub amp: f64,
    /// Σ mean(r²): r, which B computes from y, should be small.
    pub null: f64,
    /// Σ mean(z²): B's output should be small.
    pub sparse: f64,
    /// −Σ W ∘ B: B should point in W's direction. Only this primitive reads W.
    #[serde(rename = "self")]
    pub self_: f64,
    /// Σ B².
    pub decay: f64,
}

impl Coefficients {
    /// Whether the primitives need y, the product of W and x.
    pub fn use_output(&self) -> bool {
        self.amp != 0.0 || self.null != 0.0
    }

    /// Whether the primitives need samples: all primitives but self and decay need them.
    pub fn use_samples(&self) -> bool {
        self.use_output() || self.sparse != 0.0
    }
}

/// The rule that trains a layer's backward weights. A configuration tells rules apart by their `name`. A node tells
/// only two names apart: every other name is the name of a loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum RuleSpec {
    /// B is W itself: weight transport, the rule that all others avoid.
    #[default]
    Backprop,
    /// B has the signs of W, and magnitudes other than W's.
    SignSymmetry {
        /// The magnitudes of B's elements.
        magnitude: Magnitude,
    },
    /// B is a tensor of its own and follows the gradient of its own loss.
    #[serde(untagged)]
    Learned {
        /// The rule's name in the paper, or `custom`.
        name: String,
        /// Whether W's own task gradient is added to B's (Kolen-Pollack).
        task: bool,
        /// The primitives in B's loss; all zero leaves B as it was drawn (feedback alignment).
        #[serde(flatten)]
        coefficients: Coefficients,
        /// The options of the primitives beyond their coefficients.
        #[serde(flatten)]
        alignment: Alignment,
    },
}

/// The magnitudes of B under sign symmetry (Liao, Leibo and Poggio 2016).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Magnitude {
    /// One magnitude for all, √(1/fan_in): uSF.
    #[default]
    Uniform,
    /// Drawn anew after every update: brSF.
    Redrawn,
    /// Drawn once: frSF.
    Fixed,
}

impl RuleSpec {
    /// A rule in which B follows its own loss, with the default options.
    pub fn learned(name: &str, task: bool, coefficients: Coefficients) -> Self {
        Self::Learned { name: name.into(), task, coefficients, alignment: Alignment::default() }
    }

    /// The rule's name in the paper, or `custom`.
    pub fn name(&self) -> &str {
        match self {
            RuleSpec::Backprop => "backprop",
            RuleSpec::SignSymmetry { .. } => "sign_symmetry",
            RuleSpec::Learned { name, .. } => name,
        }
    }

    /// The mirror steps of the rule, where the rule has mirror steps.
    pub fn mirror(&self) -> Option<&Mirror> {
        match self {
            RuleSpec::Learned { alignment, .. } => alignment.mirror.as_ref(),
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => None,
        }
    }

    /// Whether the rule needs W: backprop, sign symmetry, and every rule with the self primitive.
    pub fn reads_weight(&self) -> bool {
        match self {
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => true,
            RuleSpec::Learned { coefficients, .. } => coefficients.self_ != 0.0,
        }
    }

    /// Whether the layer must keep the product of W and x until G. Primitives with another input than x compute a y
    /// of their own, so they do not need it.
    pub fn keeps_output(&self) -> bool {
        matches!(self, RuleSpec::Learned { coefficients, alignment, .. }
            if alignment.is_fed_input() && coefficients.use_output())
    }

    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        if let RuleSpec::Learned { name, coefficients: c, alignment, .. } = &self {
            alignment.check()?;
            let finite = [c.amp, c.null, c.sparse, c.self_, c.decay].iter().all(|value| value.is_finite());
            if !finite || name.len() > crate::spec::limits::MAX_NAME {
                return Err(ProtocolError::invalid(
                    "a rule's coefficients must be finite and its name short",
                ));
            }
        }
        Ok(self)
    }
}
