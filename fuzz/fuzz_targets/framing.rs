//! The fuzz target for the parts of a stream.

#![no_main]

#[path = "../decoders/framing.rs"]
mod decoder;
#[path = "../decoders/received.rs"]
mod received;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoder::run(bytes));
