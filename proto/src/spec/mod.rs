//! Specifications for nodes: the network's graph, the rules of its layers, and the slice that is one stage.

pub mod alignment;
pub mod begin;
mod coefficients;
pub mod contract;
pub mod fingerprint;
pub mod graph;
pub mod input;
pub mod layout;
pub mod limits;
pub mod op;
pub mod optimizer;
pub mod pin;
pub mod precision;
mod primitive;
mod product;
pub mod reads;
pub mod rule;
pub mod split;
pub mod stage;
pub mod state;
pub mod transport;
mod window;
