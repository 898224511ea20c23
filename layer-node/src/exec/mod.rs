//! Executing a stage: the one thread that owns every tensor, the lane that it follows, and its links.

pub mod cancellation;
mod clock;
mod lane;
pub mod links;
pub mod worker;
