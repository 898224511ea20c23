//! A file that is read at any position, through a window that keeps the last few blocks.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The length of the window, in bytes: a header, the small files that follow it, and their headers come in one read.
const WINDOW: usize = 16 << 10;

/// An open file, read at any position.
pub(super) struct Window<'a> {
    file: &'a File,
    length: u64,
    /// The bytes in the window, and the place of their first one.
    bytes: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    /// A window over `file`, which has `length` bytes.
    pub(super) fn new(file: &'a File, length: u64) -> Self {
        Self { file, length, bytes: Vec::new(), start: 0 }
    }

    /// The length of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The `count` bytes from place `at` on; `None` where the file ends before their end.
    ///
    /// # Errors
    /// The system's error, as a phrase that follows the file's name.
    pub(super) fn read(&mut self, at: u64, count: usize) -> Result<Option<&[u8]>, String> {
        if at.checked_add(count as u64).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let from = match at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok()) {
            Some(from) if from.saturating_add(count) <= self.bytes.len() => from,
            _ => {
                let wanted = (self.length - at).min(count.max(WINDOW) as u64) as usize;
                (self.start, self.bytes) = (at, vec![0; wanted]);
                let read = self.file.read_exact_at(&mut self.bytes, at);
                read.map_err(|error| format!("cannot be read at byte {at} ({error})"))?;
                0
            }
        };
        Ok(Some(&self.bytes[from..from + count]))
    }
}
