//! Output for people: answers on stdout, progress on stderr.
//!
//! `println!` panics when stdout cannot be written. A full disk, or a reader like `head` that closes the pipe, must
//! not end a run or change its exit code.

use crate::run_error::RunError;
use std::fmt::Arguments;
use std::io::{self, Error, ErrorKind, Write};

/// EIO: the terminal is gone.
const NO_TERMINAL: i32 = 5;

/// Writes to stdout. A closed pipe, or a terminal that is gone, is no failure.
///
/// # Errors
/// A stdout that cannot be written, for any other reason.
pub fn answer(words: Arguments) -> Result<(), RunError> {
    let mut out = io::stdout();
    let said = out.write_fmt(words).and_then(|()| out.flush());
    let gone =
        |error: &Error| error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(NO_TERMINAL);
    let fault = said.err().filter(|error| !gone(error));
    fault.map_or(Ok(()), |error| {
        Err(RunError::internal(format!("cannot write to stdout ({error}): make room where it goes")))
    })
}

/// Writes to stderr, and ignores failures.
pub fn remark(words: Arguments) {
    let mut out = io::stderr();
    let _ = out.write_fmt(words).and_then(|()| out.flush());
}
