//! An atomic file: it is written beside its place, synced, and renamed into it, so that it is whole or does not
//! exist.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A written file that is not yet in its place. Dropping it removes the file and leaves the place unchanged.
pub(super) struct Beside {
    path: PathBuf,
    temporary: PathBuf,
}

impl Beside {
    /// Writes and syncs `bytes` in the folder of `path`.
    ///
    /// # Errors
    /// When the disk is full or read-only; the error is one sentence.
    pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<Self, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        // From here on, dropping `beside` removes the temporary file.
        let beside = Self { path: path.to_owned(), temporary };
        let written = (|| {
            let mut out = File::create(&beside.temporary)?;
            out.write_all(bytes)?;
            out.sync_all()
        })();
        written.map_err(|error| beside.failed(&error))?;
        Ok(beside)
    }

    /// Moves the file into its place, and replaces an existing file there.
    ///
    /// # Errors
    /// When the disk operation fails; the error is one sentence.
    pub(super) fn put(self) -> Result<(), String> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let renamed = fs::rename(&self.temporary, &self.path).and_then(|()| File::open(folder)?.sync_all());
        renamed.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("cannot write {}: {error}", self.path.display())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}
