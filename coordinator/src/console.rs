//! Words for people: on stdout what was asked for, on stderr how it goes.
//!
//! `println!` panics where they cannot be written. A log on a full disk, or a reader like `head` that has seen
//! enough, must not end a run, and not turn its exit code into another.

use crate::run_error::RunError;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Says something on stdout. That nobody reads on is no fault.
///
/// # Errors
/// When the disk says no.
pub fn answer(words: Arguments) -> Result<(), RunError> {
    let mut out = io::stdout();
    let said = out.write_fmt(words).and_then(|()| out.flush());
    let fault = said.err().filter(|error| error.kind() != ErrorKind::BrokenPipe);
    fault.map_or(Ok(()), |error| {
        Err(RunError::internal(format!("cannot write to stdout ({error}): make room where it goes")))
    })
}

/// Says something on stderr, if it can.
pub fn remark(words: Arguments) {
    let mut out = io::stderr();
    let _ = out.write_fmt(words).and_then(|()| out.flush());
}
