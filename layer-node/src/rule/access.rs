//! The access of rules to W: every rule declares it by a type, and the compiler enforces it.
//!
//! A local rule cannot read W, because the arguments of the rule hold no value of W:
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
//!         Ok(Some(seen.weight().f_neg()?)) // no method `f_neg` found for unit type `()`
//!     }
//! }
//! ```
//!
//! The same lines compile if the rule declares that it reads W, and the declaration is visible to every reader:
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
//!         Ok(Some(seen.weight().f_neg()?))
//!     }
//! }
//! ```

use tch::Tensor;

/// A rule's declaration of its access to W.
pub trait Access {
    /// A reference to W, or the unit type.
    type Weight<'a>: Copy;
    /// Whether [`Access::Weight`] is W.
    const READS_WEIGHT: bool;
}

/// The rule works without W: all its inputs pass through the layer anyway.
pub enum Local {}

/// The rule reads W at the update, so its layer must keep W and B on one host.
pub enum ReadsWeight {}

impl Access for Local {
    type Weight<'a> = ();
    const READS_WEIGHT: bool = false;
}

impl Access for ReadsWeight {
    type Weight<'a> = &'a Tensor;
    const READS_WEIGHT: bool = true;
}
