//! Output for people: answers on stdout, progress on stderr.
//!
//! `println!` panics when stdout cannot be written. A full disk, or a reader like `head` that closes the pipe, must
//! not end a run or change its exit code.

use crate::run_error::RunError;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Writes to stdout. A closed pipe is no failure.
///
/// # Errors
/// A stdout that cannot be written, for any other reason than a closed pipe.
pub fn answer(words: Arguments) -> Result<(), RunError> {
    let mut out = io::stdout();
    let said = out.write_fmt(words).and_then(|()| out.flush());
    let fault = said.err().filter(|error| error.kind() != ErrorKind::BrokenPipe);
    fault.map_or(Ok(()), |error| {
        Err(RunError::internal(format!("cannot write to stdout ({error}): make room where it goes")))
    })
}

/// Writes to stderr, and ignores failures.
pub fn remark(words: Arguments) {
    let mut out = io::stderr();
    let _ = out.write_fmt(words).and_then(|()| out.flush());
}
