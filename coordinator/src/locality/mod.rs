//! The proof of locality: both ends count all messages of a run, and the counts are compared with the plan's
//! prediction.
//!
//! ```text
//! specifications, lanes, course ─▶ prediction ─┐
//!              the ledgers of the coordinator ─┼─▶ check ─▶ Findings ─▶ table, JSON, page
//!                        and of every node ────┘
//! ```
//!
//! Everything except [`prove`] is pure.

mod check;
mod findings;
#[cfg(test)]
mod fixtures;
mod json;
mod page;
mod planes;
mod prediction;
mod prove;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub use check::{Allowed, Evidence, check};
pub use findings::{ControlFinding, Findings, LayerFinding, LinkFinding, Verdict, Violation};
pub use json::json;
pub use page::{About, page};
pub use prediction::{Budget, Prediction};
pub use prove::{ProofOptions, prove};
pub use table::table;
