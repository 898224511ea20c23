//! The learning rules of the literature by their names: one file each, with its formula and its paper.
//!
//! A layer node knows no names of rules: it gets the primitives of the rule (`layer-node`'s `rule/` has their
//! gradients). In the formulas, x is the layer's input, y = map(x, W), z = map(x, B), r = adjoint(y, B). Sums run
//! over features and positions, means run over the batch, and squared terms carry no ½, as in the code of Kunin et
//! al. 2020, the source of the default coefficients.

mod activation_alignment;
mod backprop;
mod custom;
#[cfg(test)]
mod examples;
mod feedback_alignment;
mod information_alignment;
mod kolen_pollack;
mod product_feedback_alignment;
mod sign_symmetry;
mod symmetric_alignment;
mod weight_mirror;

use std::fmt;

use proto::spec::optimizer::Schedule;
use proto::spec::rule::{Alignment, Coefficients, Magnitude, Mirror, Noise, Primitive, Product, RuleSpec};
use serde::{Deserialize, Serialize};

pub use kolen_pollack::matched_decay;

/// Declares the names of the rules: a variant, its file, and B's loss by default in words. A variant's word in a
/// configuration is the name of its file.
macro_rules! rules {
    ($($name:ident = $file:ident, $loss:literal;)+) => {
        /// The names of the rules; `rule.name` in a configuration.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Name {
            $(#[doc = $loss] $name,)+
        }

        impl Name {
            /// Every name, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// B's loss by default, in words.
            pub fn loss(self) -> &'static str {
                match self {
                    $(Self::$name => $loss,)+
                }
            }

            fn form(self, around: Surroundings) -> Form {
                match self {
                    $(Self::$name => $file::form(around),)+
                }
            }
        }
    };
}

rules! {
    Backprop = backprop, "none: B is W; takes no coefficient";
    FeedbackAlignment = feedback_alignment, "none: B stays as it was drawn";
    SignSymmetry = sign_symmetry, "none: B has W's signs; `magnitude` says how large its elements are";
    SymmetricAlignment = symmetric_alignment, "0.002 self + 0.001 decay";
    KolenPollack = kolen_pollack, "W's own task gradient, and decay = `optimizer.weight_decay` / 2";
    ProductFeedbackAlignment = product_feedback_alignment,
        "a fixed B; of a trained R: its task gradient behind B, and decay = `optimizer.weight_decay` / 2; `ratio` says how many rows R has";
    WeightMirror = weight_mirror, "0.001 amp + 0.001 decay, x being noise";
    InformationAlignment = information_alignment, "0.002 amp + 0.001 null + 0.001 decay";
    ActivationAlignment = activation_alignment, "0.002 amp + 0.001 sparse";
    Custom = custom, "what you set: at least one coefficient, or `task = true`";
}

/// Prints the name in the configuration.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The form of a rule, with its defaults.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// B is W.
    Transport,
    /// B has W's signs.
    Signs,
    /// The error goes through a fixed B and a trained R.
    Product {
        /// Rows of R for each row of W.
        ratio: f64,
        /// The coefficient of ΣR².
        decay: f64,
    },
    /// B follows a loss of its own.
    Learned {
        /// Whether W's task gradient is part of B's.
        task: bool,
        /// The primitives.
        coefficients: Coefficients,
        /// The primitives' options.
        alignment: Alignment,
    },
}

/// A loss of B's own, of these primitives, with the plain options.
fn loss(terms: &[(Primitive, f64)]) -> Form {
    Form::Learned { task: false, coefficients: Coefficients::new(terms), alignment: Alignment::default() }
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
    /// The rule of this name, with its defaults.
    pub fn rule(self, around: Surroundings) -> RuleSpec {
        match self.form(around) {
            Form::Transport => RuleSpec::Backprop,
            Form::Signs => RuleSpec::SignSymmetry { magnitude: Magnitude::default() },
            Form::Product { ratio, decay } => {
                RuleSpec::Product(Product { ratio, decay, schedule: Schedule::default() })
            }
            Form::Learned { task, coefficients, alignment } => {
                RuleSpec::Learned { name: self.to_string(), task, coefficients, alignment }
            }
        }
    }

    /// Whether W's steps decide how the backward weights decay, so that their distance to W obeys Kolen-Pollack's law.
    pub fn has_law(rule: &RuleSpec) -> bool {
        Self::LAWFUL.iter().any(|name| name.is(rule))
    }

    /// The rules under Kolen-Pollack's law.
    pub const LAWFUL: [Self; 2] = [Self::KolenPollack, Self::ProductFeedbackAlignment];

    /// Whether `rule` has this name.
    pub fn is(self, rule: &RuleSpec) -> bool {
        rule.name() == self.to_string()
    }
}

/// The default mirror steps: one after each update, of a microbatch's size.
pub fn mirror(around: Surroundings) -> Mirror {
    Mirror { noise: Noise::Normal, sigma: 1.0, batch: around.microbatch, every: 1, delay: 0 }
}

/// The keys of `primitives`, as in "amp, null and sparse".
pub fn listed(primitives: impl Iterator<Item = Primitive>, word: &str) -> String {
    let words: Vec<&str> = primitives.map(Primitive::word).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} {word} {last}", others.join(", ")),
        _ => words.concat(),
    }
}
