//! What a node is told to be: the network's graph, how its layers learn, and the slice that is one stage.

pub mod alignment;
pub mod contract;
pub mod graph;
pub mod limits;
pub mod op;
pub mod optimizer;
pub mod rule;
pub mod stage;
mod window;
