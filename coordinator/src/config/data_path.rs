//! The folder of the data set: `data.path`, a folder in `NEUROPIL_DATA`, or a folder in `data/`.

use std::path::{Component, Path, PathBuf};

use crate::data::DataKind;

/// The environment of a configuration: its only input besides the text and the flags.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// `NEUROPIL_DATA`: the folder that holds data sets.
    pub data: Option<&'a Path>,
    /// The current folder, from which relative paths of data begin; without it they stay relative.
    pub current: Option<&'a Path>,
    /// Whether a path exists.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

impl<'a> Environment<'a> {
    /// An environment with the folder of data sets `data` and the folder `current`, which looks at the disk. An empty
    /// path counts as none.
    pub fn new(data: Option<&'a Path>, current: Option<&'a Path>) -> Self {
        let data = data.filter(|path| !path.as_os_str().is_empty());
        Self { data, current, exists: &Path::exists }
    }

    /// An environment without a folder of data sets, on a disk without files.
    pub fn empty() -> Self {
        Self { data: None, current: None, exists: &|_| false }
    }

    /// The folder of a data set of `kind`, where the file sets `path`.
    ///
    /// A relative path is a place in `NEUROPIL_DATA` where it exists there, and otherwise one from the
    /// current folder. An absolute path is taken as it is where it exists, and without a folder of data sets
    /// to look into. All else is the kind's own folder in `NEUROPIL_DATA`, or that folder itself where it
    /// holds the kind's files directly, or the kind's folder in `data/`.
    pub(super) fn folder(&self, kind: DataKind, path: Option<&Path>) -> PathBuf {
        let Some(data) = self.data else {
            return path.map_or_else(|| Path::new("data").join(kind.folder()), Path::to_owned);
        };
        match path {
            Some(path) if path.is_relative() && (self.exists)(&data.join(path)) => data.join(path),
            Some(path) if path.is_relative() || (self.exists)(path) || !self.holds(data, kind) => {
                path.to_owned()
            }
            _ if !(self.exists)(&data.join(kind.folder())) && self.directly(data, kind) => data.to_owned(),
            _ => data.join(kind.folder()),
        }
    }

    /// `path` from the root, so that a run finds its data from any folder. Links stay as the user named them: only a
    /// `..` at the start is resolved, since the current folder is known without links.
    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        let Some(current) = self.current.filter(|_| path.is_relative()) else { return path.to_owned() };
        let mut whole = current.to_owned();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if current.starts_with(&whole) => _ = whole.pop(),
                part => whole.push(part),
            }
        }
        whole
    }

    fn holds(&self, data: &Path, kind: DataKind) -> bool {
        (self.exists)(&data.join(kind.folder())) || self.directly(data, kind)
    }

    fn directly(&self, data: &Path, kind: DataKind) -> bool {
        kind.files().iter().any(|file| (self.exists)(&data.join(file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of Fashion-MNIST for this `NEUROPIL_DATA`, this `data.path` and these existing paths.
    fn folder(data: Option<&str>, path: Option<&str>, there: &[&str]) -> String {
        let exists = |path: &Path| there.iter().any(|there| Path::new(there) == path);
        let environment = Environment { data: data.map(Path::new), current: None, exists: &exists };
        environment.folder(DataKind::FashionMnist, path.map(Path::new)).display().to_string()
    }

    #[test]
    fn data_sets_are_found_where_the_surroundings_have_them() {
        assert_eq!(folder(None, None, &[]), "data/fashion-mnist");
        assert_eq!(folder(Some("/sets"), None, &[]), "/sets/fashion-mnist");
        assert_eq!(folder(Some("/sets"), None, &["/sets/train-images-idx3-ubyte.gz"]), "/sets");
        let both = ["/sets/fashion-mnist", "/sets/train-images-idx3-ubyte"];
        assert_eq!(folder(Some("/sets"), None, &both), "/sets/fashion-mnist");
    }

    #[test]
    fn a_path_in_the_file_is_looked_for_in_the_folder_of_data_sets_first() {
        assert_eq!(folder(None, Some("mine"), &[]), "mine");
        assert_eq!(folder(Some("/sets"), Some("mine"), &["/sets/mine"]), "/sets/mine");
        assert_eq!(folder(Some("/sets"), Some("mine"), &["/sets/fashion-mnist"]), "mine");
        assert_eq!(folder(Some("/sets"), Some("/mine"), &["/mine", "/sets/fashion-mnist"]), "/mine");
        assert_eq!(folder(Some("/sets"), Some("/gone"), &["/sets/fashion-mnist"]), "/sets/fashion-mnist");
        assert_eq!(folder(Some("/sets"), Some("/gone"), &[]), "/gone");
    }

    #[test]
    fn a_relative_path_begins_at_the_current_folder() {
        let environment = Environment { current: Some(Path::new("/home/u")), ..Environment::empty() };
        for (path, absolute) in [
            ("mine", "/home/u/mine"),
            (".", "/home/u"),
            ("./a/./b", "/home/u/a/b"),
            ("../sets/idx", "/home/sets/idx"),
            ("../../../../sets", "/sets"),
            ("link/../sets", "/home/u/link/../sets"),
            ("/srv/../sets", "/srv/../sets"),
        ] {
            assert_eq!(environment.absolute(Path::new(path)), Path::new(absolute), "{path}");
        }
        assert_eq!(Environment::empty().absolute(Path::new("mine")), Path::new("mine"));
    }
}
