//! The learning rules of the literature by their names: one file each, with its formula and its paper.
//!
//! A layer node knows no names of rules: it gets the primitives of the rule (`layer-node`'s `rule/` has their
//! gradients). In the formulas, x is the layer's input, y = map(x, W), z = map(x, B), r = adjoint(y, B). Sums run
//! over features and positions, means run over the batch, and squared terms carry no ½, as in the code of Kunin et
//! al. 2020, the source of the default coefficients.

mod activation_alignment;
mod backprop;
mod custom;
mod feedback_alignment;
mod information_alignment;
mod kolen_pollack;
mod sign_symmetry;
mod symmetric_alignment;
mod weight_mirror;

use std::fmt;

use proto::spec::rule::{Alignment, Coefficients, Magnitude, Mirror, Noise, RuleSpec};
use serde::{Deserialize, Serialize};

pub use kolen_pollack::matched_decay;

/// The names of the rules; `rule.name` in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// B is W.
    Backprop,
    /// B keeps its initial values.
    FeedbackAlignment,
    /// B has W's signs.
    SignSymmetry,
    /// B is pulled to W.
    SymmetricAlignment,
    /// B takes W's steps.
    KolenPollack,
    /// B learns from noise that goes through W.
    WeightMirror,
    /// B sends back the input behind y.
    InformationAlignment,
    /// B, driven forward, computes the same as W.
    ActivationAlignment,
    /// B's loss is that of the configuration.
    Custom,
}

/// Prints the name in the configuration.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The form of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// B is W.
    Transport,
    /// B has W's signs.
    Signs,
    /// B follows a loss of its own.
    Learned {
        /// Whether W's task gradient is part of B's.
        task: bool,
        /// The primitives.
        coefficients: Coefficients,
        /// Whether the rule learns from noise in mirror steps by default.
        noise: bool,
    },
}

const NONE: Coefficients = Coefficients { amp: 0.0, null: 0.0, sparse: 0.0, self_: 0.0, decay: 0.0 };

/// A loss of B's own, of x as it arrives.
const fn loss(coefficients: Coefficients) -> Form {
    Form::Learned { task: false, coefficients, noise: false }
}

/// The facts of a run that complete a rule.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// λ, the weight decay of W's optimizer.
    pub weight_decay: f64,
    /// Samples in a microbatch.
    pub microbatch: u32,
}

impl Name {
    fn form(self) -> Form {
        match self {
            Name::Backprop => backprop::FORM,
            Name::FeedbackAlignment => feedback_alignment::FORM,
            Name::SignSymmetry => sign_symmetry::FORM,
            Name::SymmetricAlignment => symmetric_alignment::FORM,
            Name::KolenPollack => kolen_pollack::FORM,
            Name::WeightMirror => weight_mirror::FORM,
            Name::InformationAlignment => information_alignment::FORM,
            Name::ActivationAlignment => activation_alignment::FORM,
            Name::Custom => custom::FORM,
        }
    }

    /// The rule of this name, with its defaults.
    pub fn rule(self, around: Surroundings) -> RuleSpec {
        match self.form() {
            Form::Transport => RuleSpec::Backprop,
            Form::Signs => RuleSpec::SignSymmetry { magnitude: Magnitude::default() },
            Form::Learned { task, mut coefficients, noise } => {
                if self == Name::KolenPollack {
                    coefficients.decay = matched_decay(around.weight_decay);
                }
                let mirror = noise.then(|| mirror(around));
                let alignment = Alignment { mirror, ..Alignment::default() };
                RuleSpec::Learned { name: self.to_string(), task, coefficients, alignment }
            }
        }
    }

    /// Whether `rule` has this name.
    pub fn is(self, rule: &RuleSpec) -> bool {
        rule.name() == self.to_string()
    }
}

/// The default mirror steps: one after each update, of a microbatch's size.
pub fn mirror(around: Surroundings) -> Mirror {
    Mirror { noise: Noise::Normal, sigma: 1.0, batch: around.microbatch, every: 1, delay: 0 }
}
