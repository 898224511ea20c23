//! The matter of Neuropil: a process that owns the weights of one stage.
//!
//! ```text
//!                    service (tokio)                 worker (one thread)
//! neighbours ─▶ decode, check ─▶ bounded queues ─▶ lane: F E G U ─▶ bounded queues ─▶ encode ─▶ neighbours
//! coordinator ─▶ commands ─────▶ mailbox ─────────▶ stage, state, snapshots ─▶ reports ─▶ coordinator
//! ```
//!
//! Torch runs on the worker's thread alone; everything else is plumbing: `serve` is the process, `service` its calls,
//! `session` and `fault` a run's links and their end. `checkpoint` and `state_dir` are the state on disk, which `digest`
//! and `weights` (export, import) read without a run.

pub mod exec;
pub mod failure;
mod init;
pub mod layer;
mod memory;
mod meters;
pub mod optim;
pub mod rule;
pub mod serve;
pub mod service;
pub mod stage;
pub mod state;
pub mod torch;
