//! Neuropil's coordinator: decides what a run does, and in which order; it holds data, labels and loss, and no weight.
//!
//! ```text
//! config ─▶ model (graph) ─▶ partition (stages) ─▶ pipeline (lanes) ─▶ plan
//!                                                      │
//! data ──────────────▶ prepare (stages, lanes, course) ┘
//!                         │
//! sweep (many runs) ─▶ run ─▶ driver ◀──── sockets ────▶ layer nodes
//!                         └─▶ record ─▶ report           loss
//! ```
//!
//! Pure rooms decide: `config`, `model`, `rule`, `partition`, `pipeline`, `plan`, `loss`, the course in `prepare` and
//! the supervisor in `run`. The rooms that act are thin: `driver`, `node`, `run::drive`, and the files of `data` and
//! `record`.

pub mod cli;
pub mod config;
pub mod console;
pub mod data;
pub mod driver;
pub mod loss;
pub mod model;
pub mod node;
pub mod partition;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod record;
pub mod report;
pub mod rule;
pub mod run;
pub mod run_error;
pub mod sweep;
