//! Composed rules: any combination of the primitives, with or without W's own task gradient. Every rule is composed,
//! except backprop and sign symmetry. The coordinator's `rule/` maps the rules of the literature to combinations.

use super::primitives::{Gradient, Terms, gradient};
use super::{Access, AtUpdate, Feedback, Local, ReadsWeight, Rule, Seen};
use proto::spec::rule::{Alignment, Coefficients, Transfer};
use tch::{TchError, Tensor};

/// The sum of the primitives weighed by `coefficients`, under the options of `alignment`. W's task gradient is added if
/// `task` is set. Only a sum with a primitive that reads W is given W.
pub fn compose(coefficients: Coefficients, task: bool, alignment: &Alignment) -> Feedback {
    let &Alignment { transfer, per_position, .. } = alignment;
    let (mut samples, mut once, mut of_weight) = (Vec::new(), Vec::new(), Vec::new());
    for (primitive, coefficient) in coefficients.terms() {
        match gradient(primitive) {
            Gradient::Samples(gradient) => samples.push(gradient),
            Gradient::Backward(gradient) => once.push((gradient, coefficient)),
            Gradient::Weight(gradient) => of_weight.push((gradient, coefficient)),
        }
    }
    let local = Composed { coefficients, samples, once, task, transfer, per_position };
    match of_weight.is_empty() {
        true => Feedback::Local(Box::new(local)),
        false => Feedback::ReadsWeight(Box::new(WithWeight { local, of_weight })),
    }
}

/// A gradient of the samples of a microbatch.
type Samples = fn(&Seen, &Terms) -> Result<Option<Tensor>, TchError>;
/// A gradient that is added once, and its coefficient.
type Once<A> = (fn(&AtUpdate<A>, f64) -> Result<Tensor, TchError>, f64);

/// A sum of the primitives that do without W.
struct Composed {
    coefficients: Coefficients,
    samples: Vec<Samples>,
    once: Vec<Once<Local>>,
    task: bool,
    transfer: Transfer,
    /// Whether the sums over positions of y are means over them.
    per_position: bool,
}

impl Rule for Composed {
    type Reads = Local;

    fn uses_task(&self) -> bool {
        self.task
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        let positions = if self.per_position { seen.positions() as f64 } else { 1.0 };
        let terms = Terms { coefficients: self.coefficients, positions, transfer: self.transfer };
        self.samples.iter().try_fold(None, |whole, gradient| sum(whole, gradient(seen, &terms)?))
    }

    fn at_update(&self, seen: &AtUpdate<Local>) -> Result<Option<Tensor>, TchError> {
        all(&self.once, seen)
    }
}

/// A sum of primitives of which some read W.
struct WithWeight {
    local: Composed,
    of_weight: Vec<Once<ReadsWeight>>,
}

impl Rule for WithWeight {
    type Reads = ReadsWeight;

    fn uses_task(&self) -> bool {
        self.local.uses_task()
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        self.local.microbatch(seen)
    }

    fn at_update(&self, seen: &AtUpdate<ReadsWeight>) -> Result<Option<Tensor>, TchError> {
        sum(self.local.at_update(&seen.without_weight())?, all(&self.of_weight, seen)?)
    }
}

/// The sum of the gradients that are added once.
fn all<A: Access>(gradients: &[Once<A>], seen: &AtUpdate<A>) -> Result<Option<Tensor>, TchError> {
    gradients.iter().try_fold(None, |whole, (gradient, value)| sum(whole, Some(gradient(seen, *value)?)))
}

/// The sum of the given parts. It never starts from zeros, so that one part alone keeps its bits.
pub fn sum(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>, TchError> {
    match (a, b) {
        (Some(a), Some(b)) => a.f_add(&b).map(Some),
        (a, b) => Ok(a.or(b)),
    }
}
