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
        self.exchange().map(drop)
    }

    /// As [`Beside::put`], but the former file can still be brought back.
    fn exchange(self) -> Result<Exchanged, String> {
        let mut former = self.temporary.clone().into_os_string();
        former.push(".former");
        let former = PathBuf::from(former);
        let exchanged = || {
            let kept = match fs::hard_link(&self.path, &former) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                // Some file systems have no hard links.
                Err(_) => fs::copy(&self.path, &former).map(|_| Some(()))?,
                Ok(()) => Some(()),
            };
            fs::rename(&self.temporary, &self.path)?;
            Ok(kept.is_some())
        };
        match exchanged() {
            Ok(kept) => {
                let exchanged = Exchanged { path: self.path.clone(), former: kept.then_some(former) };
                match sync(&self.path) {
                    Ok(()) => Ok(exchanged),
                    Err(error) => {
                        exchanged.bring_back();
                        Err(self.failed(&error))
                    }
                }
            }
            Err(error) => {
                let _ = fs::remove_file(former);
                Err(self.failed(&error))
            }
        }
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("cannot write {}: {error}", self.path.display())
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

/// Syncs the folder of `path`.
fn sync(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
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

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_replaced_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let beside = |name: &str| Beside::write(&path(name), b"new").unwrap();
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
