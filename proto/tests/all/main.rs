//! Tests of the wire: framing, stages, sizes, and the fuzzers' corpus.

mod corpus;
mod framing;
mod limits;
mod message;
mod stage;
mod valid_stage;
