//! A layer node: a process that owns the weights of one stage.
//!
//! ```text
//!                    service (tokio)                 worker (one thread)
//! neighbours ─▶ decode, check ─▶ bounded queues ─▶ lane: F E G U ─▶ bounded queues ─▶ encode ─▶ neighbours
//! coordinator ─▶ commands ─────▶ mailbox ─────────▶ stage, state, snapshots ─▶ reports ─▶ coordinator
//! ```
//!
//! Torch runs on the worker's thread alone, in `exec`; `layer`, `rule`, `optim` and `stage` are the mathematics that
//! it carries out. `serve` is the process, `service` its calls. `state` is the state on disk, which `digest`, `export`
//! and `import` read without a run.

pub mod exec;
pub mod failure;
mod init;
pub mod layer;
pub mod linear_map;
mod memory;
mod meters;
pub mod optim;
pub mod rule;
pub mod serve;
pub mod service;
pub mod settings;
pub mod stage;
pub mod state;
pub mod torch;
