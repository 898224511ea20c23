//! The progress line: rewritten in place on a terminal, and one line every few seconds elsewhere.

use crate::console::remark;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// The interval between changes of a terminal's line.
const TERMINAL: Duration = Duration::from_millis(100);
/// The interval between lines in a log.
const LOG: Duration = Duration::from_secs(10);

/// The display of a run's progress, on stderr.
pub struct Progress {
    terminal: bool,
    shown: Option<Instant>,
    dirty: bool,
}

impl Progress {
    /// A display that shows nothing yet.
    pub fn new() -> Self {
        Self { terminal: stderr().is_terminal(), shown: None, dirty: false }
    }

    /// Shows `line` if the interval has passed.
    pub fn show(&mut self, line: impl FnOnce() -> String) {
        let pause = if self.terminal { TERMINAL } else { LOG };
        if self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        self.shown = Some(Instant::now());
        if self.terminal {
            remark(format_args!("\r\x1b[K{}", line()));
            self.dirty = true;
        } else {
            remark(format_args!("{}\n", line()));
        }
    }

    /// Shows a line that stays.
    pub fn say(&mut self, line: &str) {
        self.finish();
        remark(format_args!("{line}\n"));
    }

    /// Ends the progress line.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.dirty) {
            remark(format_args!("\r\x1b[K"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
