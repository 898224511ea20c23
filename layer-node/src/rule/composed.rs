//! Composed rules: any combination of the primitives, with or without W's own task gradient. Every rule is composed,
//! except backprop and sign symmetry. The coordinator's `rule/` maps the rules of the literature to combinations.

use super::{Access, AtUpdate, Local, ReadsWeight, Rule, Seen, primitives};
use proto::spec::rule::{Coefficients, Transfer};
use std::marker::PhantomData;
use tch::{TchError, Tensor};

/// A sum of primitives that declares by its type whether it reads W.
pub struct Composed<A> {
    coefficients: Coefficients,
    task: bool,
    transfer: Transfer,
    access: PhantomData<fn() -> A>,
}

impl<A: Access> Composed<A> {
    /// The primitives weighed by `coefficients`, on y and z through `transfer`. W's task gradient is added if `task`
    /// is set.
    pub fn new(coefficients: Coefficients, task: bool, transfer: Transfer) -> Self {
        Self { coefficients, task, transfer, access: PhantomData }
    }
}

/// The one primitive that reads W, available only with access to W.
pub trait SelfTerm: Access + Sized {
    /// The gradient of the self primitive.
    ///
    /// # Errors
    /// When a torch operation fails.
    fn self_term(seen: &AtUpdate<Self>, coefficient: f64) -> Result<Option<Tensor>, TchError>;
}

impl SelfTerm for Local {
    fn self_term(_: &AtUpdate<Self>, _: f64) -> Result<Option<Tensor>, TchError> {
        Ok(None)
    }
}

impl SelfTerm for ReadsWeight {
    fn self_term(seen: &AtUpdate<Self>, coefficient: f64) -> Result<Option<Tensor>, TchError> {
        primitives::self_(seen.weight, coefficient)
    }
}

impl<A: SelfTerm> Rule for Composed<A> {
    type Reads = A;

    fn uses_samples(&self) -> bool {
        self.coefficients.use_samples()
    }

    fn uses_output(&self) -> bool {
        self.coefficients.use_output()
    }

    fn uses_task(&self) -> bool {
        self.task
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        let c = &self.coefficients;
        sum(
            primitives::amp_and_sparse(seen, c.amp, c.sparse, self.transfer)?,
            primitives::null(seen, c.null, self.transfer)?,
        )
    }

    fn at_update(&self, seen: &AtUpdate<A>) -> Result<Option<Tensor>, TchError> {
        let c = &self.coefficients;
        sum(primitives::decay(seen.backward, c.decay)?, A::self_term(seen, c.self_)?)
    }
}

/// The sum of the given parts. It never starts from zeros, so that one part alone keeps its bits.
pub fn sum(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>, TchError> {
    match (a, b) {
        (Some(a), Some(b)) => a.f_add(&b).map(Some),
        (a, b) => Ok(a.or(b)),
    }
}
