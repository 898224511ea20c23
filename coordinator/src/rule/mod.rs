//! The rules of the literature by their names: one file each, with its formula and its paper.
//!
//! A layer node knows no names: it is told the primitives that a rule is made of (`layer-node`'s `rule/`
//! has their gradients). Here, x is the layer's input, y = map(x, W), z = map(x, B), r = adjoint(y, B);
//! sums run over features and positions, means over the batch, and squared terms carry no ½, as in the code
//! of Kunin et al. 2020, from which the default coefficients are.

mod activation_alignment;
mod backprop;
mod custom;
mod feedback_alignment;
mod information_alignment;
mod kolen_pollack;
mod sign_symmetry;
mod symmetric_alignment;
mod weight_mirror;

use proto::spec::rule::{Alignment, Coefficients, Magnitude, Mirror, Noise, RuleSpec};

pub use custom::NAME as CUSTOM;
pub use feedback_alignment::NAME as FEEDBACK_ALIGNMENT;
pub use kolen_pollack::{NAME as KOLEN_POLLACK, matched_decay};
pub use sign_symmetry::NAME as SIGN_SYMMETRY;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
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
        /// Whether the rule learns from noise in mirror steps, unless it is told otherwise.
        noise: bool,
    },
}

/// A rule of the literature.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// As in `rule.name`.
    pub name: &'static str,
    /// What it is.
    pub form: Form,
}

/// Every rule that has a name.
pub const RULES: [Named; 9] = [
    backprop::RULE,
    feedback_alignment::RULE,
    sign_symmetry::RULE,
    symmetric_alignment::RULE,
    kolen_pollack::RULE,
    weight_mirror::RULE,
    information_alignment::RULE,
    activation_alignment::RULE,
    custom::RULE,
];

/// The names in `RULES`.
pub const NAMES: &[&str] = &{
    let mut names = [""; RULES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = RULES[at].name;
        at += 1;
    }
    names
};

const NONE: Coefficients = Coefficients { amp: 0.0, null: 0.0, sparse: 0.0, self_: 0.0, decay: 0.0 };

/// A loss of B's own, of x as it comes in.
const fn loss(name: &'static str, coefficients: Coefficients) -> Named {
    Named { name, form: Form::Learned { task: false, coefficients, noise: false } }
}

/// What a run must know to complete a rule.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// λ, the weight decay of W's optimizer.
    pub weight_decay: f64,
    /// Samples in a microbatch.
    pub microbatch: u32,
}

/// The rule of this name with its defaults; backprop for a name that is none.
pub fn named(name: &str, around: Surroundings) -> RuleSpec {
    let form = RULES.iter().find(|rule| rule.name == name).map_or(Form::Transport, |rule| rule.form);
    match form {
        Form::Transport => RuleSpec::Backprop,
        Form::Signs => RuleSpec::SignSymmetry(Magnitude::default()),
        Form::Learned { task, mut coefficients, noise } => {
            if name == KOLEN_POLLACK {
                coefficients.decay = matched_decay(around.weight_decay);
            }
            let mirror = noise.then(|| mirror(around));
            let alignment = Alignment { mirror, ..Alignment::default() };
            RuleSpec::Learned { name: name.to_owned(), task, coefficients, alignment }
        }
    }
}

/// Mirror steps as they are where nothing else is said: one after each update, of a microbatch's size.
pub fn mirror(around: Surroundings) -> Mirror {
    Mirror { noise: Noise::Normal, sigma: 1.0, batch: around.microbatch, every: 1, delay: 0 }
}
