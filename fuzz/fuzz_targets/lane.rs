//! The fuzz target for lanes.

#![no_main]

#[path = "../decoders/lane.rs"]
mod decoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoder::run(bytes));
