//! An atomic file: it is written beside its place, synced, and renamed into it, so that it is whole or does not
//! exist.

use proto::disk::cannot;
use std::fs::{self, File};
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
        self.exchange().map(drop)
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
            placed => placed.and_then(|_| sync(&path)),
        };
        placed.map(|()| true).map_err(|error| cannot("cannot write", &path, &error, elsewhere))
    }

    /// As [`Beside::put`], but the former file can still be brought back.
    fn exchange(self) -> Result<Exchanged, String> {
        let Self { path, file, elsewhere } = self;
        exchange(&path, file).map_err(|error| cannot("cannot write", &path, &error, elsewhere))
    }
}

fn exchange(path: &Path, file: NamedTempFile) -> io::Result<Exchanged> {
    let mut former = file.path().as_os_str().to_owned();
    former.push(".former");
    let former = PathBuf::from(former);
    let kept = match fs::hard_link(path, &former) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        // Some file systems have no hard links.
        Err(_) => fs::copy(path, &former).map(|_| true)?,
        Ok(()) => true,
    };
    // Its end removes the former file, also where the exchange fails.
    let exchanged = Exchanged { path: path.to_owned(), former: kept.then_some(former) };
    file.persist(path).map_err(|failed| failed.error)?;
    match sync(path) {
        Ok(()) => Ok(exchanged),
        Err(error) => {
            exchanged.bring_back();
            Err(error)
        }
    }
}

/// Moves all files into their places, or none.
///
/// # Errors
/// When a disk operation fails; the error is one sentence.
pub(super) fn put_all(files: Vec<Beside>) -> Result<(), String> {
    let mut done = Vec::with_capacity(files.len());
    for file in files {
        match file.exchange() {
            Ok(exchanged) => done.push(exchanged),
            Err(error) => {
                done.into_iter().for_each(Exchanged::bring_back);
                return Err(error);
            }
        }
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Syncs the folder of `path`.
fn sync(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// A file in its place, and the former file beside it, which is removed when the value is dropped.
struct Exchanged {
    path: PathBuf,
    former: Option<PathBuf>,
}

impl Exchanged {
    /// Puts the former file back.
    fn bring_back(mut self) {
        let _ = match self.former.take() {
            Some(former) => fs::rename(former, &self.path),
            None => fs::remove_file(&self.path),
        };
        let _ = sync(&self.path);
    }
}

impl Drop for Exchanged {
    fn drop(&mut self) {
        self.former.take().map(fs::remove_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_replaced_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let beside = |name: &str| Beside::write(&path(name), b"new", "").unwrap();
        let left = || fs::read_dir(dir.path()).unwrap().count();
        fs::write(path("old"), "old").unwrap();
        // Nothing can be renamed to a folder with a file in it.
        fs::create_dir_all(path("taken/by")).unwrap();
        let error = put_all(vec![beside("old"), beside("fresh"), beside("taken")]).unwrap_err();
        assert!(error.starts_with("cannot write") && error.contains("taken"), "{error}");
        assert_eq!((fs::read(path("old")).unwrap(), left()), (b"old".to_vec(), 2));
        put_all(vec![beside("old"), beside("fresh")]).unwrap();
        assert_eq!([fs::read(path("old")).unwrap(), fs::read(path("fresh")).unwrap()], [b"new"; 2]);
        assert_eq!(left(), 3, "nothing else is left behind");
    }
}
