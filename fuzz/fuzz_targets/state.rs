//! The fuzz target for headers of snapshots.

#![no_main]

#[path = "../decoders/state.rs"]
mod decoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoder::run(bytes));
