//! The fuzz target for the parts of a stream.

#![no_main]

#[path = "../decoders/framing.rs"]
mod decoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoder::run(bytes));
