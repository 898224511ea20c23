//! An atomic file: it is written beside its place, synced, and renamed into it, so that it is whole or does not
//! exist.

use proto::disk::cannot;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A written file that is not yet in its place. Dropping it removes the file and leaves the place unchanged.
pub(super) struct Beside {
    path: PathBuf,
    file: NamedTempFile,
    /// How the user names another place; empty if there is no other.
    elsewhere: &'static str,
}

impl Beside {
    /// Writes and syncs `bytes` in the folder of `path`, under a name that no other process has.
    ///
    /// # Errors
    /// When the disk is full or read-only; the error is one sentence.
    pub(super) fn write(path: &Path, bytes: &[u8], elsewhere: &'static str) -> Result<Self, String> {
        let written = (|| {
            let mut beside = tempfile::Builder::new();
            // The file has the permissions of any new file, and not those of a temporary one.
            let mut file =
                beside.prefix(".neuropil-").make_in(folder(path), |path| File::create_new(path))?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            Ok(file)
        })();
        let file = written.map_err(|error: io::Error| cannot("cannot write", path, &error, elsewhere))?;
        Ok(Self { path: path.to_owned(), file, elsewhere })
    }

    /// Moves the file into its place, and replaces an existing file there.
    ///
    /// # Errors
    /// When the disk operation fails; the error is one sentence.
    pub(super) fn put(self) -> Result<(), String> {
        let Self { path, file, elsewhere } = self;
        let placed = file.persist(&path).map_err(|failed| failed.error).and_then(|_| synced(&path));
        placed.map_err(|error| cannot("cannot write", &path, &error, elsewhere))
    }

    /// Moves the file into its place, unless there is a file already; `false` if there is. Of two processes that put a
    /// file into one place, only one does.
    ///
    /// # Errors
    /// When the disk operation fails; the error is one sentence.
    pub(super) fn put_new(self) -> Result<bool, String> {
        let Self { path, file, elsewhere } = self;
        let placed = match file.persist_noclobber(&path).map_err(|failed| failed.error) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            placed => placed.and_then(|_| synced(&path)),
        };
        placed.map(|()| true).map_err(|error| cannot("cannot write", &path, &error, elsewhere))
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

fn synced(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}
