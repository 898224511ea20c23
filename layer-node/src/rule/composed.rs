//! Any combination of the primitives, with or without W's own task gradient.
//!
//! | rule | B's loss | source |
//! |---|---|---|
//! | feedback alignment | 0 | Lillicrap et al. 2016 |
//! | symmetric alignment | self + decay | Kunin et al. 2020 |
//! | Kolen-Pollack | W's task gradient + decay matched to W's | Kolen & Pollack 1994; Akrout et al. 2019 |
//! | weight mirror | amp + decay | Akrout et al. 2019 |
//! | information alignment | amp + null + decay | Kunin et al. 2020 |
//! | activation alignment | amp + sparse | Kunin et al. 2020 |
//! | custom | whatever the configuration says | |

use super::{Access, AtUpdate, Local, ReadsWeight, Rule, Seen, primitives};
use proto::rule::Coefficients;
use std::marker::PhantomData;
use tch::{TchError, Tensor};

/// A sum of primitives that declares by its type whether it reads W.
pub struct Composed<A> {
    coefficients: Coefficients,
    task: bool,
    access: PhantomData<fn() -> A>,
}

impl<A: Access> Composed<A> {
    /// The primitives weighed by `coefficients`, and W's task gradient where `task` is set.
    pub fn new(coefficients: Coefficients, task: bool) -> Self {
        Self { coefficients, task, access: PhantomData }
    }

    fn uses_output(&self) -> bool {
        self.coefficients.amp != 0.0 || self.coefficients.null != 0.0
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        let c = &self.coefficients;
        sum([primitives::amp_and_sparse(seen, c.amp, c.sparse)?, primitives::null(seen, c.null)?])
    }

    fn without_weight(&self, seen: &AtUpdate<A>) -> Result<Option<Tensor>, TchError> {
        let task = if self.task { Some(seen.task.shallow_clone()) } else { None };
        sum([task, primitives::decay(seen.backward, self.coefficients.decay)?])
    }
}

impl Rule for Composed<Local> {
    type Reads = Local;

    fn uses_output(&self) -> bool {
        Composed::uses_output(self)
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        Composed::microbatch(self, seen)
    }

    fn at_update(&self, seen: &AtUpdate<Local>) -> Result<Option<Tensor>, TchError> {
        self.without_weight(seen)
    }
}

impl Rule for Composed<ReadsWeight> {
    type Reads = ReadsWeight;

    fn uses_output(&self) -> bool {
        Composed::uses_output(self)
    }

    fn microbatch(&self, seen: &Seen) -> Result<Option<Tensor>, TchError> {
        Composed::microbatch(self, seen)
    }

    fn at_update(&self, seen: &AtUpdate<ReadsWeight>) -> Result<Option<Tensor>, TchError> {
        sum([self.without_weight(seen)?, primitives::self_(seen.weight, self.coefficients.self_)?])
    }
}

/// The sum of what is there; never starts from zeros, so that one part alone keeps its bits.
fn sum(parts: [Option<Tensor>; 2]) -> Result<Option<Tensor>, TchError> {
    match parts {
        [Some(a), Some(b)] => a.f_add(&b).map(Some),
        [a, b] => Ok(a.or(b)),
    }
}
