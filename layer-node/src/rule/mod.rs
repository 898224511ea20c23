//! Learning rules: they train a layer's backward weights B.
//!
//! A rule sees one layer. Its inputs are arguments and its outputs are return values. It cannot reach the network,
//! the wire or another layer, and it gets W only if it declares so ([`access`]).

pub mod access;
mod centering;
mod composed;
mod noise;
mod primitives;
mod seen;
mod sign_symmetry;
mod transfer;

pub use access::{Access, Local, ReadsWeight};
pub use centering::center;
use composed::compose;
pub use composed::sum;
pub use noise::draw as draw_noise;
pub(crate) use seen::Given;
pub use seen::{AtUpdate, ReadLog, Seen};
pub use sign_symmetry::aligned as signs_of;

use proto::spec::rule::{Alignment, Magnitude, RuleSpec};
use tch::{TchError, Tensor};

/// A learning rule for B.
pub trait Rule: Send {
    /// Whether the rule reads W.
    type Reads: Access;

    /// Whether W's task gradient is part of B's.
    fn uses_task(&self) -> bool {
        false
    }

    /// This microbatch's part of B's gradient; `None` if it has no part.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError>;

    /// The part of B's gradient that depends on no sample. It is added once, at the update.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn at_update(&self, seen: &AtUpdate<Self::Reads>) -> Result<Option<Tensor>, TchError>;
}

/// The way in which a layer gets its backward weights.
pub enum Feedback {
    /// B is W: backprop. Lillicrap et al. 2016 call it weight transport.
    Transport,
    /// B follows the signs of W.
    Signs(Magnitude),
    /// B is trained without W.
    Local(Box<dyn Rule<Reads = Local>>),
    /// B is trained by a rule that reads W.
    ReadsWeight(Box<dyn Rule<Reads = ReadsWeight>>),
}

impl Feedback {
    /// The rule that `spec` describes. Only a rule with a primitive that reads W is given W.
    pub fn new(spec: &RuleSpec) -> Self {
        match spec {
            RuleSpec::Backprop => Feedback::Transport,
            RuleSpec::SignSymmetry { magnitude } => Feedback::Signs(*magnitude),
            // R is trained by a rule that has no access to W: by its own task gradient, and by its decay.
            RuleSpec::Product(product) => compose(product.coefficients(), true, &Alignment::default()),
            RuleSpec::Learned { task, coefficients, alignment, .. } => {
                compose(*coefficients, *task, alignment)
            }
        }
    }

    /// Whether W's task gradient is part of B's.
    pub fn uses_task(&self) -> bool {
        match self {
            Feedback::Transport | Feedback::Signs(_) => false,
            Feedback::Local(rule) => rule.uses_task(),
            Feedback::ReadsWeight(rule) => rule.uses_task(),
        }
    }

    /// Whether the rule reads W as it is before the step of W.
    pub fn reads_weight(&self) -> bool {
        matches!(self, Feedback::ReadsWeight(_))
    }

    /// This microbatch's part of B's gradient.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        match self {
            Feedback::Transport | Feedback::Signs(_) => Ok(None),
            Feedback::Local(rule) => rule.microbatch(seen),
            Feedback::ReadsWeight(rule) => rule.microbatch(seen),
        }
    }

    /// The part of B's gradient that is added once. `weight`, which is `None` where W is on another host, reaches only
    /// rules that declared their access to W, and `log` records what a rule reads.
    ///
    /// # Errors
    /// When a torch operation fails, or a rule that reads W is on another host than W.
    pub fn at_update(
        &self,
        backward: &Tensor,
        weight: Option<&Tensor>,
        log: &ReadLog,
    ) -> Result<Option<Tensor>, TchError> {
        match (self, weight) {
            (Feedback::Transport | Feedback::Signs(_), _) => Ok(None),
            (Feedback::Local(rule), _) => rule.at_update(&AtUpdate::new(backward, (), log)),
            (Feedback::ReadsWeight(rule), Some(weight)) => {
                rule.at_update(&AtUpdate::new(backward, weight, log))
            }
            (Feedback::ReadsWeight(_), None) => Err(TchError::Torch(
                "a rule that reads W trains a B whose W is on another host: this is a bug".into(),
            )),
        }
    }
}
