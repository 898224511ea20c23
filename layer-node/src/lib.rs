//! The layer node of Neuropil: a process that owns the weights of one stage of a network, and trains them.
//!
//! ```text
//!                    service (tokio)                 worker (one thread)
//! neighbours ─▶ decode, check ─▶ bounded queues ─▶ lane: F E G U ─▶ bounded queues ─▶ encode ─▶ neighbours
//! coordinator ─▶ commands ─────▶ mailbox ─────────▶ stage, state, snapshots ─▶ reports ─▶ coordinator
//! ```
//!
//! Torch computes only on the worker's thread, in `exec`. The modules, by their task:
//!
//! - execution: `exec` (the worker, its device, lanes and sessions)
//! - mathematics: `stage`, `layer`, `linear_map`, `comparison` (of B with W), `rule`, `optim`, `settings`, `init` (initial weights), and `torch`
//!   (the functions of libtorch that tch lacks)
//! - process: `serve` (ports, start and stop), `service` (the gRPC calls), `meters` (metrics), `health` (asks another
//!   process), `failure` (exit codes)
//! - disk: `state` (snapshots, and the commands `digest`, `export`, `import` and `angles`, which need no run)

mod comparison;
pub mod exec;
pub mod failure;
pub mod health;
mod init;
pub mod layer;
pub mod layout;
#[cfg(feature = "leaks")]
pub mod leak;
pub mod linear_map;
mod meters;
pub mod optim;
pub mod rule;
pub mod serve;
pub mod service;
pub mod settings;
pub mod stage;
pub mod state;
pub mod torch;
