//! Weights as files: `layer-node export` merges the nodes' tensors into one file, and `layer-node import` puts a
//! file's tensors into the nodes' snapshots.
//!
//! ```text
//! stage-0/step-00000042/stage.safetensors ─┐                    ┌─▶ torch: load_state_dict(strict=False)
//! stage-1/step-00000042/stage.safetensors ─┼─▶ OUT.safetensors ─┤
//! stage-2/step-00000042/stage.safetensors ─┘                    └─▶ the same snapshots, other numbers
//! ```
//!
//! `layer-node angles` compares W and B. All three commands read folders and need no running node. No call asks a node
//! for weights.

mod angles;
mod atomic_file;
mod export;
mod import;
mod nodes;
mod numbers;
mod part;

pub use angles::{AnglesFlags, angles};
pub use export::{ExportFlags, export};
pub use import::{ImportFlags, import};
pub use nodes::NodesFlags;

/// `1 tensor`, `2 tensors`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
