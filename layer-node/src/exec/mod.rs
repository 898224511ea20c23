//! Executing a stage: the one thread that owns every tensor, the lanes that it follows, its device and its links.

mod clock;
mod configuration;
pub mod device;
mod lane;
pub mod session;
pub mod worker;
