//! Weights for a run, from files: which tensor of a file goes to which node, and a file for each node.
//!
//! ```text
//! Source (files of any program) ─┐                        ┌─▶ stage-0.safetensors
//! StageSpec of each node ────────┼─▶ Fit (taken, drawn) ──┼─▶ stage-1.safetensors
//! Keep (B, optimizers) ──────────┘                        └─▶ stage-1-backward.safetensors
//! ```
//!
//! Bytes are copied and never computed with, so nothing here needs torch; the files go to the nodes' own folders, and no
//! message carries them.

mod fit;
mod id;
mod part;
mod split;
#[cfg(test)]
mod tests;
mod words;

pub use fit::{Drawn, DrawnTensor, Fit, Keep};
pub use id::PartsId;
pub use part::{Mark, Part};
pub use proto::weights::Source;
pub use split::{SplitOptions, split};
pub use words::{mark, remarks};

use clap::ValueEnum;
use std::fmt;

/// The B with which a run begins, in place of the B of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backward {
    /// B is drawn from the seed
    Random,
    /// B begins as a copy of W
    Weight,
}

impl fmt::Display for Backward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backward::Random => "random",
            Backward::Weight => "weight",
        })
    }
}
