//! What is said to whoever started this: answers on stdout, everything else on stderr.

use crate::failure::Failure;
use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};

/// Says a line on stderr. Where that cannot be written (a full disk, a closed pipe), the work goes on unsaid.
pub fn note(line: impl Display) {
    part(format_args!("{line}\n"));
}

/// As [`note`], without the end of the line.
pub fn part(text: impl Display) {
    let mut stderr = stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// Writes an answer, which ends with a line's end, to stdout. Who closed it, as `head` does, has read enough.
///
/// # Errors
/// One sentence, as on a full disk: whoever waits for the answer must know that it is not whole.
pub fn answer(text: impl Display) -> Result<(), Failure> {
    let mut stdout = stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::internal(format!("cannot write to stdout ({error}): make room where it leads to")))
        }
        _ => Ok(()),
    }
}
