//! Execution of a stage, or of the half of one: the worker thread, which owns every tensor, its device, and the lanes
//! and sessions of a run.

pub mod account;
mod backward_node;
mod beginning;
mod configuration;
mod context;
pub mod device;
mod half;
pub mod half_link;
mod lane;
pub mod moments;
mod other_half;
mod outbox;
mod precision;
pub mod session;
pub mod worker;
