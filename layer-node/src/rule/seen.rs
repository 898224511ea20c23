//! The values of a layer that its rule is given, and the record of those that the rule took.
//!
//! A rule gets a value by a method that records it. The fields are private to this file, so there is no other way:
//!
//! ```compile_fail,E0616
//! use layer_node::rule::Seen;
//!
//! fn unrecorded<'a>(seen: &'a Seen) -> &'a tch::Tensor {
//!     seen.given.x // field `given` of struct `Seen` is private
//! }
//! ```

use super::access::{Access, Local, ReadsWeight};
use crate::linear_map::LinearMap;
use crate::settings::sums;
use proto::spec::reads::Reads;
use std::cell::Cell;
use tch::{TchError, Tensor};

/// The record of the values that a layer's B was updated from. The layer owns it, and it grows until the node is
/// configured again.
#[derive(Debug, Default)]
pub struct ReadLog(Cell<Reads>);

impl ReadLog {
    /// The values that were read so far.
    pub fn read(&self) -> Reads {
        self.0.get()
    }

    /// Records that B is W, which the layer hands out in its place.
    pub(crate) fn transported(&self) {
        self.note(Reads { weight: true, ..Reads::default() });
    }

    /// Records W's task gradient, which is made of x and the error.
    pub(crate) fn task(&self) {
        self.note(Reads { x: true, error: true, ..Reads::default() });
    }

    /// Records that a fixed B has carried the error to R.
    pub(crate) fn carried(&self) {
        self.note(Reads { backward: true, ..Reads::default() });
    }

    fn note(&self, new: Reads) {
        self.0.set(self.0.get().or(new));
    }
}

/// The values of one microbatch, or of one mirror step, before a rule is given them.
pub(crate) struct Given<'a> {
    /// How the layer applies a matrix: y = map(x, W).
    pub map: LinearMap,
    /// The layer's input, centred if the rule asks for it; or noise of its shape.
    pub x: &'a Tensor,
    /// The layer's output for x; `None` for rules that do not use it.
    pub y: Option<&'a Tensor>,
    /// The loss's gradient at y; `None` in a mirror step.
    pub error: Option<&'a Tensor>,
    /// B in the number format of the computation, which x, y and the error have too.
    pub backward: &'a Tensor,
    /// N.
    pub minibatch: u32,
}

/// The values of its layer that a rule sees in one microbatch, or in one mirror step.
pub struct Seen<'a> {
    given: Given<'a>,
    log: &'a ReadLog,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(given: Given<'a>, log: &'a ReadLog) -> Self {
        Self { given, log }
    }

    /// How the layer applies a matrix: y = map(x, W).
    pub fn map(&self) -> LinearMap {
        self.given.map
    }

    /// N, the number of samples in the whole minibatch: a mean over the batch is a sum divided by N.
    pub fn minibatch(&self) -> u32 {
        self.given.minibatch
    }

    /// The number of positions of y: H'·W' of a convolution, and 1 of a dense layer. Only shapes are read.
    pub fn positions(&self) -> i64 {
        self.given.map.positions(self.given.x, self.given.backward)
    }

    /// The layer's input `(n, in)` or `(n, in, H, W)`, centred if the rule asks for it; or noise of its shape.
    pub fn x(&self) -> &'a Tensor {
        self.log.note(Reads { x: true, ..Reads::default() });
        self.given.x
    }

    /// The layer's output for x before bias, norm and activation, `(n, out)` or `(n, out, H', W')`.
    ///
    /// # Errors
    /// When the rule does not say that it uses y, so that the layer did not keep it: the primitive would do nothing.
    pub fn y(&self) -> Result<&'a Tensor, TchError> {
        self.log.note(Reads { y: true, ..Reads::default() });
        self.given.y.ok_or_else(|| {
            TchError::Torch("a primitive needs y, which its rule does not declare: this is a bug".into())
        })
    }

    /// The loss's gradient at y, of y's shape, already divided by N and multiplied by the loss scale; `None` in a mirror
    /// step.
    pub fn error(&self) -> Option<&'a Tensor> {
        self.log.note(Reads { error: true, ..Reads::default() });
        self.given.error
    }

    /// B, of W's shape.
    pub fn backward(&self) -> &'a Tensor {
        self.log.note(Reads { backward: true, ..Reads::default() });
        self.given.backward
    }

    /// The gradient with respect to a matrix of B's shape that maps `x` to an output with the gradient `error`, in the
    /// number format of sums. No element of B is read.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn filter_gradient(&self, x: &Tensor, error: &Tensor) -> Result<Tensor, TchError> {
        self.given.map.filter_gradient(x, error, self.given.backward)?.f_to_kind(sums(x.kind()))
    }
}

/// The values of its layer that a rule sees when B is about to step.
pub struct AtUpdate<'a, A: Access> {
    backward: &'a Tensor,
    weight: A::Weight<'a>,
    log: &'a ReadLog,
}

impl<'a, A: Access> AtUpdate<'a, A> {
    pub(crate) fn new(backward: &'a Tensor, weight: A::Weight<'a>, log: &'a ReadLog) -> Self {
        Self { backward, weight, log }
    }

    /// B, of W's shape.
    pub fn backward(&self) -> &'a Tensor {
        self.log.note(Reads { backward: true, ..Reads::default() });
        self.backward
    }

    /// W, if the rule declares that it reads W.
    pub fn weight(&self) -> A::Weight<'a> {
        self.log.note(Reads { weight: A::READS_WEIGHT, ..Reads::default() });
        self.weight
    }
}

impl<'a> AtUpdate<'a, ReadsWeight> {
    /// The same values for the part of the rule that works without W.
    pub fn without_weight(&self) -> AtUpdate<'a, Local> {
        AtUpdate { backward: self.backward, weight: (), log: self.log }
    }
}
