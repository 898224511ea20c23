//! Execution of a stage: the worker thread that owns every tensor, its device, and the lanes and sessions of a run.

pub mod account;
mod clock;
mod configuration;
pub mod device;
mod lane;
pub mod session;
pub mod worker;
