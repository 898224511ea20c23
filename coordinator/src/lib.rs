//! The coordinator of Neuropil, as a library: the program that plans and drives a training run. It holds the
//! configuration, the data, the labels and the loss; the layer nodes hold the weights.
//!
//! ```text
//! config, rule ─▶ model (graph) ─▶ partition (stages) ─▶ pipeline (lanes) ─▶ plan
//!                                        │                    │
//! data ───────────────────────────────▶ prepare (stages, lanes, course)
//!                                        │
//! cli ─▶ sweep (many runs) ─▶ run ─▶ driver, loss ◀── sockets ──▶ layer nodes (node)
//!                              └─▶ record ─▶ report
//! ```
//!
//! - Before a run: [`config`] reads the settings, [`rule`] names the learning rules, [`model`] builds the network,
//!   [`partition`] cuts it into stages, [`pipeline`] orders the actions of each stage in a lane, [`plan`] predicts
//!   the run, [`data`] loads samples, and [`prepare`] puts all of it together.
//! - During a run: [`run`] decides the next command and acts on it, [`node`] finds or starts the layer nodes,
//!   [`driver`] exchanges messages with them, [`loss`] computes the error signal, and [`record`] writes the run's
//!   folder; [`platform`] posts the progress where the platform asks for it.
//! - Around runs: [`cli`] parses the command line, [`console`] prints, [`run_error`] is the failure of a command,
//!   [`report`] makes the page of a run, [`compare`] lays several over each other, [`survey`] looks through a data set
//!   ahead, [`sweep`] runs many trials, [`weights`] cuts files of weights for nodes, [`certificates`] makes the identities of all
//!   processes, and [`manifests`] writes what Kubernetes needs.
//!
//! Decisions are pure functions: those of `config`, `rule`, `model`, `partition`, `pipeline`, `plan` and `loss`, the
//! course in `prepare`, and the supervisor in `run`. The code with side effects is thin: `driver`, `node`,
//! `run::drive`, the requests of `platform`, and the files of `data` and `record`.

pub mod certificates;
pub mod cli;
mod columns;
pub mod compare;
pub mod config;
pub mod console;
pub mod data;
#[cfg(test)]
mod documented;
pub mod driver;
pub mod locality;
pub mod loss;
pub mod manifests;
pub mod model;
mod nearest;
pub mod node;
pub mod partition;
pub mod pipeline;
pub mod plan;
pub mod platform;
mod plural;
pub mod prepare;
pub mod record;
pub mod report;
pub mod rule;
pub mod run;
pub mod run_error;
mod shell;
pub mod survey;
pub mod sweep;
pub mod weights;
