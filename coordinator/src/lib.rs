//! The will of Neuropil: what a run is to do, and in which order; it owns data, labels and loss, and no
//! weight.
//!
//! ```text
//! config ─▶ model (graph) ─▶ partition (stages) ─▶ pipeline (lanes) ─▶ plan
//!                                                      │
//! data ─▶ run (course) ─▶ driver ◀──── sockets ────▶ layer nodes
//!         ▲    └─▶ folder ─▶ report           loss
//! sweep ──┘ (a run as a process, many times)
//! ```
//!
//! What is pure decides: `config`, `model`, `rule`, `partition`, `pipeline`, `plan`, `loss` and the course
//! of a run. What acts is thin: `driver`, `node`, and the files of `data` and `run`.

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
pub mod report;
pub mod rule;
pub mod run;
pub mod run_error;
pub mod sweep;
