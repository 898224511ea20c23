//! The proof of locality: a run whose messages are all counted at both ends, and compared with what the plan predicts.
//!
//! ```text
//! specifications, lanes, course ─▶ prediction ─┐
//!              the ledgers of the coordinator ─┼─▶ check ─▶ Findings ─▶ table, JSON, page
//!                        and of every node ────┘
//! ```
//!
//! Everything but [`prove`] is pure.

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
