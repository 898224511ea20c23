//! Composed rules: any combination of the primitives, with or without W's own task gradient. Every rule is composed,
//! except backprop and sign symmetry. The coordinator's `rule/` maps the rules of the literature to combinations.

use super::{AtUpdate, Feedback, Local, ReadsWeight, Rule, Seen, primitives};
use proto::spec::rule::{Alignment, Coefficients, Transfer};
use tch::{TchError, Tensor};

/// The sum of the primitives weighed by `coefficients`, under the options of `alignment`. W's task gradient is added if
/// `task` is set.
///
/// Every coefficient is named here: a new one does not compile before it has a place, and in [`Composed`] it cannot
/// reach W.
pub fn compose(coefficients: Coefficients, task: bool, alignment: &Alignment) -> Feedback {
    let Coefficients { amp, null, sparse, self_, decay } = coefficients;
    let &Alignment { transfer, per_position, .. } = alignment;
    let local = Composed { amp, null, sparse, decay, task, transfer, per_position };
    if self_ == 0.0 {
        Feedback::Local(Box::new(local))
    } else {
        Feedback::ReadsWeight(Box::new(WithSelf { local, self_ }))
    }
}

/// A sum of the primitives that do without W.
struct Composed {
    amp: f64,
    null: f64,
    sparse: f64,
    decay: f64,
    task: bool,
    transfer: Transfer,
    /// Whether amp, null and sparse are means over the positions of y.
    per_position: bool,
}

impl Rule for Composed {
    type Reads = Local;

    fn uses_task(&self) -> bool {
        self.task
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        let positions = if self.per_position { seen.positions() as f64 } else { 1.0 };
        let [amp, sparse, null] = [self.amp, self.sparse, self.null].map(|sum| sum / positions);
        sum(
            primitives::amp_and_sparse(seen, amp, sparse, self.transfer)?,
            primitives::null(seen, null, self.transfer)?,
        )
    }

    fn at_update(&self, seen: &AtUpdate<Local>) -> Result<Option<Tensor>, TchError> {
        primitives::decay(seen, self.decay)
    }
}

/// A sum of primitives with self, the one primitive that reads W.
struct WithSelf {
    local: Composed,
    self_: f64,
}

impl Rule for WithSelf {
    type Reads = ReadsWeight;

    fn uses_task(&self) -> bool {
        self.local.uses_task()
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        self.local.microbatch(seen)
    }

    fn at_update(&self, seen: &AtUpdate<ReadsWeight>) -> Result<Option<Tensor>, TchError> {
        sum(self.local.at_update(&seen.without_weight())?, Some(primitives::self_(seen, self.self_)?))
    }
}

/// The sum of the given parts. It never starts from zeros, so that one part alone keeps its bits.
pub fn sum(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>, TchError> {
    match (a, b) {
        (Some(a), Some(b)) => a.f_add(&b).map(Some),
        (a, b) => Ok(a.or(b)),
    }
}
