//! The fuzz target for messages of the control plane.

#![no_main]

#[path = "../decoders/control.rs"]
mod decoder;
#[path = "../decoders/received.rs"]
mod received;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoder::run(bytes));
