//! Output for people: the answer on stdout, the progress on stderr.
//!
//! `println!` panics where stdout cannot be written. A log on a full disk, or a reader like `head` that has seen
//! enough, must not end a run or change its exit code.

use crate::run_error::RunError;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Writes to stdout. A reader that has gone away is no fault.
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

/// Writes to stderr, if it can.
pub fn remark(words: Arguments) {
    let mut out = io::stderr();
    let _ = out.write_fmt(words).and_then(|()| out.flush());
}
