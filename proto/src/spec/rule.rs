//! Rules by which B learns: a rule's name and its primitives.

pub use super::alignment::{Alignment, Centering, Input, Mirror, Noise, Transfer};
pub use super::coefficients::Coefficients;
pub use super::primitive::{Effect, Facts, Primitive};
pub use super::product::Product;

use super::optimizer::Schedule;
use super::reads::Reads;
use crate::error::ProtocolError;
use serde::{Deserialize, Serialize};

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
    /// The error goes back through a fixed B and a trained R.
    #[serde(rename = "product_feedback_alignment")]
    Product(Product),
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
            RuleSpec::Product(_) => "product_feedback_alignment",
            RuleSpec::Learned { name, .. } => name,
        }
    }

    /// The mirror steps of the rule, where the rule has mirror steps.
    pub fn mirror(&self) -> Option<&Mirror> {
        match self {
            RuleSpec::Learned { alignment, .. } => alignment.mirror.as_ref(),
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } | RuleSpec::Product(_) => None,
        }
    }

    /// The factor on the coefficients as a function of the stage's updates, where the rule has coefficients.
    pub fn schedule(&self) -> Option<&Schedule> {
        match self {
            RuleSpec::Learned { alignment, .. } => Some(&alignment.schedule),
            RuleSpec::Product(product) => Some(&product.schedule),
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => None,
        }
    }

    /// As [`RuleSpec::schedule`], to be set.
    pub fn schedule_mut(&mut self) -> Option<&mut Schedule> {
        match self {
            RuleSpec::Learned { alignment, .. } => Some(&mut alignment.schedule),
            RuleSpec::Product(product) => Some(&mut product.schedule),
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => None,
        }
    }

    /// Whether a task gradient is part of B's, or of R's.
    pub fn uses_task(&self) -> bool {
        match self {
            RuleSpec::Learned { task, .. } => *task,
            RuleSpec::Product(_) => true,
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } => false,
        }
    }

    /// Whether B, or R, takes steps along a gradient.
    pub fn trains(&self) -> bool {
        self.uses_task() || matches!(self, RuleSpec::Learned { coefficients, .. } if !coefficients.are_zero())
    }

    /// The product by which the error goes back, under product feedback alignment.
    pub fn product(&self) -> Option<&Product> {
        match self {
            RuleSpec::Product(product) => Some(product),
            RuleSpec::Backprop | RuleSpec::SignSymmetry { .. } | RuleSpec::Learned { .. } => None,
        }
    }

    /// The values that the updates of B may read under this rule. Under backprop B is W, so that it reads W.
    pub fn reads(&self) -> Reads {
        match self {
            RuleSpec::Backprop => Reads { weight: true, ..Reads::NOTHING },
            RuleSpec::SignSymmetry { magnitude } => {
                Reads { weight: true, backward: *magnitude == Magnitude::Fixed, ..Reads::NOTHING }
            }
            // B carries the error to R, and R decays.
            RuleSpec::Product(_) => Reads { x: true, error: true, backward: true, ..Reads::NOTHING },
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                let terms = coefficients.reads();
                // The slope of a transfer function is that at z, which is made of B.
                let slope = coefficients.use_samples() && alignment.transfer != Transfer::Identity;
                Reads { x: terms.x || *task, error: *task, backward: terms.backward || slope, ..terms }
            }
        }
    }

    /// Whether the layer must keep the product of W and x until G. Primitives with another input than x compute a y
    /// of their own, so they do not need it.
    pub fn keeps_output(&self) -> bool {
        matches!(self, RuleSpec::Learned { coefficients, alignment, .. }
            if alignment.is_fed_input() && coefficients.use_output())
    }

    /// Whether the rule's primitives use the y of their x.
    pub fn uses_output(&self) -> bool {
        matches!(self, RuleSpec::Learned { coefficients, .. } if coefficients.use_output())
    }

    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        if let RuleSpec::Product(product) = &self {
            product.check()?;
        }
        if let RuleSpec::Learned { name, coefficients, alignment, .. } = &self {
            alignment.check()?;
            if !coefficients.are_finite() || name.len() > crate::spec::limits::MAX_NAME {
                return Err(ProtocolError::invalid(
                    "a rule's coefficients must be finite and its name short",
                ));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_primitive_reads_what_its_formula_names() {
        let read = |primitive| {
            let coefficients = Coefficients::new(&[(primitive, 1.0)]);
            RuleSpec::learned("custom", false, coefficients).reads().to_string()
        };
        let five = ["amp", "null", "sparse", "self", "decay"].map(|word| Primitive::named(word).unwrap());
        assert_eq!(five.map(read), ["x, y", "x, y, B", "x, B", "W", "B"]);
        let named = |rule: RuleSpec| rule.reads().to_string();
        assert_eq!(named(RuleSpec::learned("feedback_alignment", false, Coefficients::default())), "nothing");
        let decay = Coefficients::new(&[(Primitive::Decay, 1.0)]);
        assert_eq!(named(RuleSpec::learned("kolen_pollack", true, decay)), "x, error, B");
        let product = Product { ratio: 1.0, decay: 0.0, schedule: Schedule::default() };
        assert_eq!(named(RuleSpec::Product(product)), "x, error, B");
        assert_eq!(named(RuleSpec::Backprop), "W");
    }
}
