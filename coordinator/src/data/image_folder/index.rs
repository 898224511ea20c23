//! The index of a folder of images: its sub-folders with the names, sizes and times of the files in them.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::DataError;
use crate::data::index_cache::{Found, modified};

/// The extensions that torchvision takes for images. Files of formats that are not decoded count as broken.
const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"];
/// The depth down to which folders are read, since links may form a circle.
const DEEPEST: usize = 8;

/// All images below a folder, in torchvision's order: by class, then by folder, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// The folder itself, called "", and all folders below it.
    pub folders: Vec<Folder>,
}

/// The images in one folder, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Folder {
    /// The path below the indexed folder, with `/` between its parts.
    pub path: String,
    /// The time of the folder's last change ([`modified`]).
    pub modified: i64,
    /// The files' names.
    pub names: Vec<String>,
    /// The files' sizes in bytes.
    pub sizes: Vec<u64>,
    /// The times of the files' last changes.
    pub times: Vec<i64>,
}

impl Folder {
    /// The class: the first part of the path; `None` for the indexed folder itself.
    pub fn class(&self) -> Option<&str> {
        self.path.split('/').next().filter(|class| !class.is_empty())
    }
}

impl Index {
    /// Lists the images below `root`. Folders whose names begin with a dot are left out.
    ///
    /// # Errors
    /// A folder that cannot be read, a name that is not UTF-8, or folders that are too deep.
    pub fn of(root: &Path) -> Result<Self, DataError> {
        let mut folders = Vec::new();
        list(root, String::new(), 0, &mut folders)?;
        folders.sort_by(|a, b| (a.class(), &a.path).cmp(&(b.class(), &b.path)));
        Ok(Self { folders })
    }

    /// Whether a kept index is whole and still valid for `root`: no folder has changed since then.
    pub fn holds(found: &Found<Self>, root: &Path) -> bool {
        let folders = &found.index.folders;
        let unchanged = |folder: &Folder| {
            let now = fs::metadata(root.join(&folder.path)).map(|metadata| modified(&metadata));
            now.is_ok_and(|now| now == folder.modified && now < found.sure)
        };
        folders.first().is_some_and(|folder| folder.path.is_empty())
            && folders.iter().all(|folder| folder.is_sound() && unchanged(folder))
    }

    /// The names of the class folders, sorted.
    pub fn classes(&self) -> Vec<String> {
        let tops = self.folders.iter().filter(|folder| !folder.path.contains('/'));
        tops.filter_map(|folder| folder.class().map(str::to_owned)).collect()
    }
}

impl Folder {
    /// Whether a kept folder has all numbers of its files, and no name that leads out of the folder.
    fn is_sound(&self) -> bool {
        let plain = |name: &str| !name.is_empty() && name != ".." && !name.contains(['/', '\0']);
        let files = self.names.len();
        (self.path.is_empty() || self.path.split('/').all(plain))
            && self.names.iter().all(|name| plain(name))
            && [self.sizes.len(), self.times.len()] == [files; 2]
    }
}

/// The names of the class folders in `root`, sorted; the folders themselves are not read.
///
/// # Errors
/// A folder that cannot be read, or a name that is not UTF-8.
pub(super) fn class_names(root: &Path) -> Result<Vec<String>, DataError> {
    let folders = entries(root)?.into_iter().filter(|(_, metadata)| metadata.is_dir());
    let mut names: Vec<_> = folders.map(|(name, _)| name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Appends the folder at `path` below `root`, and all folders in it.
fn list(root: &Path, path: String, depth: usize, folders: &mut Vec<Folder>) -> Result<(), DataError> {
    let place = if path.is_empty() { root.to_owned() } else { root.join(&path) };
    if depth > DEEPEST {
        let wrong = format!("lies more than {DEEPEST} folders deep");
        return Err(DataError::malformed(&place, wrong, "check for a link that leads in a circle"));
    }
    // The time is read before the names, so that a file that is added between the two is noticed at the next start.
    let changed = fs::metadata(&place).map_err(|error| unreadable(&place, error))?;
    let mut files = Vec::new();
    let mut below = Vec::new();
    for (name, metadata) in entries(&place)? {
        match metadata.is_dir() {
            true => below.push(name),
            false if is_image(&name) && metadata.is_file() => files.push((name, metadata)),
            false => {}
        }
    }
    files.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let (mut names, mut sizes, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (name, metadata) in files {
        names.push(name);
        sizes.push(metadata.len());
        times.push(modified(&metadata));
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    folders.push(Folder { path, modified: modified(&changed), names, sizes, times });
    below.into_iter().try_for_each(|name| list(root, format!("{prefix}{name}"), depth + 1, folders))
}

/// The files and folders in `folder`, links followed, without hidden folders.
fn entries(folder: &Path) -> Result<Vec<(String, Metadata)>, DataError> {
    let refused = |error| unreadable(folder, error);
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let name = entry.file_name().into_string().map_err(|name| not_text(folder, &name))?;
        match fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_dir() && name.starts_with('.') => {}
            Ok(metadata) => all.push((name, metadata)),
            Err(cause) if is_image(&name) => return Err(DataError::Unreadable { path: entry.path(), cause }),
            Err(_) => {}
        }
    }
    Ok(all)
}

/// Whether torchvision takes a file of this name for an image.
fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|found| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(found)))
}

fn unreadable(folder: &Path, cause: io::Error) -> DataError {
    DataError::Unreadable { path: folder.to_owned(), cause }
}

fn not_text(folder: &Path, name: &OsStr) -> DataError {
    let wrong = format!("holds {name:?}, a name that is not UTF-8");
    DataError::malformed(folder, wrong, "rename it")
}
