//! The fuzz target for data sets.

#![no_main]

#[path = "../decoders/data.rs"]
mod decoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoder::run(bytes));
