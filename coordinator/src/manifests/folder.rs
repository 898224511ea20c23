//! The folder of manifests, on disk.

use super::ManifestFile;
use crate::record::files::publish;
use crate::run_error::RunError;
use proto::disk::cannot;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Writes `files` into the folder `out`, and makes the folder if it is not there. The first line of all files is the
/// same, and names the command that wrote them. The function replaces files of an earlier call of the command, and
/// removes them if the run has them no longer; all other files stay as they are.
///
/// # Errors
/// A file in the way that no call of this command wrote, before anything is written; or a file that cannot be written.
pub fn write(files: &[ManifestFile], out: &Path) -> Result<(), RunError> {
    write_at("--out", files, out)
}

/// As [`write()`], for a command whose user names the folder by the flag `flag`.
///
/// # Errors
/// As [`write()`].
pub fn write_at(flag: &str, files: &[ManifestFile], out: &Path) -> Result<(), RunError> {
    let elsewhere = &format!("choose another {flag}");
    let unreadable =
        |path: &Path, error| RunError::configuration(cannot("cannot read", path, &error, elsewhere));
    let unwritable = |path: &Path, error| RunError::internal(cannot("cannot write", path, &error, elsewhere));
    let mark = files.first().and_then(|file| file.text.lines().next()).unwrap_or_default();
    for file in files {
        let path = out.join(&file.path);
        if is_ours(&path, mark).map_err(|error| unreadable(&path, error))? == Some(false) {
            return Err(RunError::configuration(format!(
                "{} is there already and was not written by this command: move it away, or {elsewhere}",
                path.display()
            )));
        }
    }
    for path in left(files, out, mark).map_err(|error| unreadable(out, error))? {
        fs::remove_file(&path).map_err(|error| unwritable(&path, error))?;
    }
    for file in files {
        let path = out.join(&file.path);
        let folder = path.parent().unwrap_or(out);
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
        publish(&path, file.text.as_bytes()).map_err(|error| unwritable(&path, error))?;
    }
    Ok(())
}

/// The nodes' files of an earlier call that `files` do not replace, since its run had more nodes.
fn left(files: &[ManifestFile], out: &Path, mark: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut left = Vec::new();
    for entry in entries {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        let is_node = name.to_str().is_some_and(|name| name.starts_with("stage-") && name.ends_with(".yaml"));
        let stays = files.iter().any(|file| Path::new(&file.path) == name);
        if is_node && !stays && is_ours(&path, mark)? == Some(true) {
            left.push(path);
        }
    }
    Ok(left)
}

/// Whether the command of this `mark` wrote the file at `path`; `None` if there is none.
fn is_ours(path: &Path, mark: &str) -> io::Result<Option<bool>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Ok(Some(false));
    }
    let mut line = Vec::new();
    BufReader::new(file.take(mark.len() as u64 + 1)).read_until(b'\n', &mut line)?;
    Ok(Some(line.strip_suffix(b"\n") == Some(mark.as_bytes())))
}
