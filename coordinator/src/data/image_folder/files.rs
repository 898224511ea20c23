//! The files of one split with their labels, and the reading of one file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use std::hash::Hasher;
use twox_hash::XxHash3_64;

use super::index::{Folder, Index, class_names};
use super::labels;
use crate::data::index_cache::{Kept, modified};
use crate::data::photo::{Files, LARGEST};
use crate::data::{Choice, DataError, Split};

/// The default of `data.train`, and of `data.test`.
const USUAL: [&str; 2] = ["train", "val"];

/// The files of one split.
pub(super) struct Listed {
    root: PathBuf,
    kept: Kept,
    folders: Vec<Folder>,
    classes: Vec<String>,
    places: Vec<Place>,
}

/// One file: its folder, its number in it, and its label.
#[derive(Clone, Copy)]
struct Place {
    folder: u32,
    file: u32,
    label: u32,
}

impl Listed {
    /// The files of the split that `choice` asks for.
    ///
    /// # Errors
    /// A folder that is missing or unreadable, files without a label, more classes than the network has, a test class
    /// that the training data does not have, or a list of labels that does not fit.
    pub fn open(choice: &Choice<'_>) -> Result<Self, DataError> {
        let [train, test] = [&choice.photos.train, &choice.photos.test];
        let name = match choice.split {
            Split::Train => one("data.train", train, USUAL[0])?,
            Split::Test => one("data.test", test, USUAL[1])?,
        };
        let root = choice.folder.join(name);
        must_exist(&root, choice.split)?;
        let kept = Kept::of(choice.folder, "image_folder", name);
        let index = indexed(&root, &kept)?;
        let classes = match choice.split {
            Split::Train => index.classes(),
            Split::Test => {
                let train = choice.folder.join(one("data.train", train, USUAL[0])?);
                must_exist(&train, Split::Train)?;
                class_names(&train)?
            }
        };
        enough(&root, &classes, choice.classes)?;
        let places = match (choice.split, choice.photos.test_labels) {
            (Split::Test, Some(_)) => flat(choice, &root, &index, &classes)?,
            _ => sorted(choice.split, &root, &index, &classes)?,
        };
        let places = choice.places(places.len()).map(|at| places[at]).collect();
        Ok(Self { root, kept, folders: index.folders, classes, places })
    }

    fn at(&self, index: usize) -> (&Folder, usize) {
        let place = self.places[index];
        (&self.folders[place.folder as usize], place.file as usize)
    }
}

impl Files for Listed {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn label(&self, index: usize) -> u32 {
        self.places[index].label
    }

    fn name(&self, index: usize) -> String {
        let (folder, file) = self.at(index);
        match &*folder.path {
            "" => folder.names[file].clone(),
            path => format!("{path}/{}", folder.names[file]),
        }
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let (folder, file) = self.at(index);
        let path = self.root.join(self.name(index));
        let read = || {
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            let mut bytes = Vec::with_capacity(metadata.len().min(LARGEST) as usize);
            file.take(LARGEST + 1).read_to_end(&mut bytes)?;
            Ok((bytes, [metadata.len() as i64, modified(&metadata)]))
        };
        let (bytes, now) = read().map_err(|cause| DataError::Unreadable { path: path.clone(), cause })?;
        // A larger file is not read to its end, so this check comes before the comparison of its length.
        if bytes.len() as u64 > LARGEST {
            let wrong = format!("has more than the {LARGEST} bytes of a photograph");
            return Err(DataError::malformed(&path, wrong, "remove it"));
        }
        if now != [folder.sizes[file] as i64, folder.times[file]] || bytes.len() as i64 != now[0] {
            self.kept.discard();
            let wrong = "has changed since the files were listed";
            return Err(DataError::malformed(&path, wrong, "start again, which lists the files anew"));
        }
        Ok(bytes)
    }

    fn origin(&self) -> &Path {
        &self.root
    }

    fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// XXH3-64 of each file's name, size and label.
    fn fingerprint(&self) -> u64 {
        let mut hash = XxHash3_64::new();
        for (index, place) in self.places.iter().enumerate() {
            let (folder, file) = self.at(index);
            hash.write(self.name(index).as_bytes());
            hash.write(&[0]);
            hash.write(&folder.sizes[file].to_le_bytes());
            hash.write(&place.label.to_le_bytes());
        }
        hash.finish()
    }
}

/// The single name that `key` gives, or the usual name.
fn one<'a>(key: &str, names: &'a [String], usual: &'a str) -> Result<&'a str, DataError> {
    match names {
        [] => Ok(usual),
        [name] => Ok(name),
        names => {
            let wrong =
                format!("{key} names {} folders, but 'data.kind' \"image_folder\" reads one", names.len());
            Err(DataError::setting(wrong, "name the one that holds the class folders"))
        }
    }
}

/// Refuses a missing folder.
fn must_exist(root: &Path, split: Split) -> Result<(), DataError> {
    if root.is_dir() {
        return Ok(());
    }
    let (what, remedy) = match split {
        Split::Train => ("training", "set data.path to the folder that holds it, or data.train to its name"),
        Split::Test => ("test", "set data.path to the folder that holds it, or data.test to its name"),
    };
    let is = if root.exists() { "is no folder" } else { "does not exist" };
    let what = format!("the folder of {what} images {} {is}", root.display());
    Err(DataError::Missing { what, remedy })
}

/// The index of `root`: the kept index if it is still valid, or else a new one, which is then kept.
fn indexed(root: &Path, kept: &Kept) -> Result<Index, DataError> {
    if let Some(found) = kept.read().filter(|found| Index::holds(found, root)) {
        return Ok(found.index);
    }
    let index = Index::of(root)?;
    kept.write(&index);
    Ok(index)
}

/// Refuses more classes than the network has.
fn enough(root: &Path, classes: &[String], network: usize) -> Result<(), DataError> {
    if classes.len() <= network {
        return Ok(());
    }
    let count = classes.len();
    let wrong = format!("has {count} class folders, but the network has {network} classes");
    Err(DataError::malformed(root, wrong, format!("set model.classes to {count}, or remove folders")))
}

/// The files in class folders.
fn sorted(split: Split, root: &Path, index: &Index, classes: &[String]) -> Result<Vec<Place>, DataError> {
    let refuse = |wrong: String, remedy: &str| Err(DataError::malformed(root, wrong, remedy));
    let found = index.classes();
    if found.is_empty() {
        let remedy = match split {
            Split::Train => "give each class a folder with its images",
            Split::Test => {
                "sort the images into class folders, or set data.test_labels and data.test_numbering"
            }
        };
        return refuse("holds no class folder".to_owned(), remedy);
    }
    let mut places = Vec::new();
    let mut full = vec![false; classes.len()];
    for (number, folder) in index.folders.iter().enumerate() {
        let Some(class) = folder.class() else { continue };
        let Ok(label) = classes.binary_search_by(|known| known.as_str().cmp(class)) else {
            let wrong = format!("has a class folder {class}, which the training images do not have");
            return refuse(wrong, "give both splits the same class folders");
        };
        full[label] |= !folder.names.is_empty();
        let place = |file| Place { folder: number as u32, file, label: label as u32 };
        places.extend((0..folder.names.len() as u32).map(place));
    }
    let empty: Vec<_> = classes.iter().zip(full).filter(|(_, full)| !full).map(|(name, _)| name).collect();
    match (empty.first(), split) {
        (None, _) => Ok(places),
        (Some(first), Split::Train) => {
            let wrong = format!("has {} class folders without an image, such as {first}", empty.len());
            refuse(wrong, "put images into them, or remove them")
        }
        (Some(first), Split::Test) if !places.is_empty() => {
            tracing::warn!("{} has no image of {} classes, such as {first}", root.display(), empty.len());
            Ok(places)
        }
        _ => refuse("holds no image".to_owned(), "put images into its class folders"),
    }
}

/// The files that lie in the folder itself, with the labels of a list.
fn flat(
    choice: &Choice<'_>,
    root: &Path,
    index: &Index,
    classes: &[String],
) -> Result<Vec<Place>, DataError> {
    let names = index.folders.first().map_or(&[][..], |folder| &folder.names);
    if names.is_empty() {
        let wrong = "holds no image, but data.test_labels is for images that no class folders sort";
        return Err(DataError::malformed(root, wrong, "leave data.test_labels out, or put the images there"));
    }
    let labels = labels::of(choice, names, classes)?;
    Ok((0..).zip(labels).map(|(file, label)| Place { folder: 0, file, label }).collect())
}
