//! The tests of layers, stages and the node's program, in one test program that links libtorch once.

mod abandon;
mod common;
mod corpus;
mod golden;
mod gradients;
mod hostile;
mod locality;
#[path = "../../../proto/tests/all/message.rs"]
mod message;
mod networks;
mod precision;
mod primitives;
mod product;
mod reads;
mod recompute;
mod rules;
mod served;
mod services;
mod signals;
mod split;
mod state;
mod transparency;
mod weights;
