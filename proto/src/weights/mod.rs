//! Weights as files of any program: their tensors under the names of a network, compared with the tensors that nodes
//! keep. Bytes alone are read; no torch is needed.

mod backward;
mod compare;
mod names;
mod numbers;
mod source;

pub use backward::remove_other_backward;
pub use compare::{Compared, Unfit, compare};
pub use numbers::{NotFinite, are_numbers, converted, not_finite};
pub use source::{Given, Source};
