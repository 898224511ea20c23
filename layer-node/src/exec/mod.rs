//! Executing a stage: the one thread that owns every tensor, the lane that it follows, and its links.

mod clock;
mod lane;
pub mod session;
pub mod worker;
