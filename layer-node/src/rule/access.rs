//! Who may read W: a type that every rule declares, and that the compiler holds it to.
//!
//! A local rule cannot be handed W, because there is no value of W in what it is given:
//!
//! ```compile_fail,E0599
//! use layer_node::rule::{AtUpdate, Local, Rule, Seen};
//! use tch::{TchError, Tensor};
//!
//! struct Cheat;
//! impl Rule for Cheat {
//!     type Reads = Local;
//!     fn microbatch(&self, _: &Seen) -> Result<Option<Tensor>, TchError> { Ok(None) }
//!     fn at_update(&self, seen: &AtUpdate<Local>) -> Result<Option<Tensor>, TchError> {
//!         Ok(Some(seen.weight.f_neg()?)) // no method `f_neg` found for unit type `()`
//!     }
//! }
//! ```
//!
//! The same lines pass where the rule declares that it reads W, and everybody sees it:
//!
//! ```
//! use layer_node::rule::{AtUpdate, ReadsWeight, Rule, Seen};
//! use tch::{TchError, Tensor};
//!
//! struct Honest;
//! impl Rule for Honest {
//!     type Reads = ReadsWeight;
//!     fn microbatch(&self, _: &Seen) -> Result<Option<Tensor>, TchError> { Ok(None) }
//!     fn at_update(&self, seen: &AtUpdate<ReadsWeight>) -> Result<Option<Tensor>, TchError> {
//!         Ok(Some(seen.weight.f_neg()?))
//!     }
//! }
//! ```

use tch::Tensor;

/// What a rule declares about W.
pub trait Access {
    /// W, or nothing.
    type Weight<'a>;
}

/// The rule works without W: everything it needs passes through the layer anyway.
pub enum Local {}

/// The rule reads W at the update: its layer must keep W and B on one host.
pub enum ReadsWeight {}

impl Access for Local {
    type Weight<'a> = ();
}

impl Access for ReadsWeight {
    type Weight<'a> = &'a Tensor;
}
