//! Tests of folders of images: order, labels, lists, the kept index, and refusals.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::data::{Choice, DataKind, Numbering, PhotoChoice, Samples, Split, open};

/// A folder with these files, each with its path as its content.
fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        write(folder.path(), file, file);
    }
    folder
}

fn write(folder: &Path, file: &str, content: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn opened(folder: &TempDir, split: Split, photos: PhotoChoice<'_>) -> Result<Arc<dyn Samples>, String> {
    let choice = Choice { photos, ..Choice::all(folder.path(), split, 3) };
    open(DataKind::ImageFolder, &choice).map_err(|error| error.to_string())
}

fn plain(folder: &TempDir, split: Split) -> Result<Arc<dyn Samples>, String> {
    opened(folder, split, PhotoChoice::default())
}

/// The names and labels of a set.
fn listed(data: &dyn Samples) -> Vec<(String, u32)> {
    (0..data.len()).map(|index| (data.name(index), data.label(index).unwrap())).collect()
}

fn pairs(list: &[(&str, u32)]) -> Vec<(String, u32)> {
    list.iter().map(|&(name, label)| (name.to_owned(), label)).collect()
}

const TRAIN: [&str; 7] = [
    "train/cat/b.JPEG",
    "train/cat/a.png",
    "train/cat/notes.txt",
    "train/ant/z.webp",
    "train/ant/nested/a.jpg",
    "train/bee/x.tiff",
    "train/.cache/y.jpg",
];

#[test]
fn files_stand_in_torchvisions_order_with_the_numbers_of_their_sorted_classes() {
    let folder = folder(&[&TRAIN[..], &["val/bee/q.jpg", "val/cat/r.jpg", "train/top.jpg"]].concat());
    let train = plain(&folder, Split::Train).unwrap();
    let due =
        [("ant/z.webp", 0), ("ant/nested/a.jpg", 0), ("bee/x.tiff", 1), ("cat/a.png", 2), ("cat/b.JPEG", 2)];
    assert_eq!(listed(&*train), pairs(&due));
    assert_eq!(train.class_names().unwrap(), ["ant", "bee", "cat"]);
    assert_eq!((train.shape(), train.classes(), train.is_costly()), ([3, 224, 224], 3, true));
    // The test images have no ant, and the others keep their numbers.
    let test = plain(&folder, Split::Test).unwrap();
    assert_eq!(listed(&*test), pairs(&[("bee/q.jpg", 1), ("cat/r.jpg", 2)]));
    assert_eq!(test.class_names().unwrap().len(), 3);

    let limited = Choice { limit: Some(3), ..Choice::all(folder.path(), Split::Train, 3) };
    let limited = open(DataKind::ImageFolder, &limited).unwrap();
    assert_eq!(listed(&*limited), pairs(&[("ant/z.webp", 0), ("ant/nested/a.jpg", 0), ("cat/a.png", 2)]));
    assert_ne!(limited.fingerprint(), train.fingerprint());
}

#[test]
fn flat_test_images_have_the_labels_of_a_list_in_either_numbering() {
    let folder = folder(&[&TRAIN[..], &["val/2.jpg", "val/1.jpg", "val/3.jpg"]].concat());
    write(folder.path(), "labels.txt", "2\n0\n1\n");
    write(folder.path(), "named.txt", "3.jpg 1\nval/1.jpg 2\n2.jpg 0\n");
    write(folder.path(), "ids.txt", "3\n1\n4\n");
    write(folder.path(), "synsets.txt", "bee a bee\nwasp\nant an ant\ncat\n");
    let list = |list: &'static str, test_numbering, synsets: Option<&'static str>| PhotoChoice {
        test_labels: Some(list.as_ref()),
        test_numbering,
        synsets: synsets.map(Path::new),
        ..PhotoChoice::default()
    };
    let labels = |photos| opened(&folder, Split::Test, photos).map(|data| listed(&*data));
    let (sorted, devkit) = (Some(Numbering::Sorted), Some(Numbering::Devkit));
    let due = Ok(pairs(&[("1.jpg", 2), ("2.jpg", 0), ("3.jpg", 1)]));
    assert_eq!(labels(list("labels.txt", sorted, None)), due);
    assert_eq!(labels(list("named.txt", sorted, None)), due);
    let due = Ok(pairs(&[("1.jpg", 0), ("2.jpg", 1), ("3.jpg", 2)]));
    assert_eq!(labels(list("ids.txt", devkit, Some("synsets.txt"))), due);

    for (photos, said) in [
        (list("labels.txt", None, None), "data.test_numbering does not say"),
        (
            list("ids.txt", sorted, None),
            "gives 1.jpg the number 3, for which the class folders are numbered from 0 to 2",
        ),
        (
            list("labels.txt", devkit, Some("synsets.txt")),
            "gives 1.jpg the number 2, for which data.synsets names no",
        ),
        (list("ids.txt", devkit, None), "data.synsets does not name"),
        (list("gone.txt", sorted, None), "cannot read"),
        (list("synsets.txt", sorted, None), "has 4 lines for 3 images"),
    ] {
        let error = labels(photos).unwrap_err();
        assert!(error.contains(said), "{error} should say: {said}");
    }
    for (text, said) in [
        ("1.jpg 1\n2.jpg 2\n4.jpg 0\n", "has no line for 3.jpg"),
        ("1\n2.jpg 2\n3\n", "with and without a name, such as line 2"),
        ("1\ntwo\n3\n", "a line 2 that is neither"),
    ] {
        write(folder.path(), "labels.txt", text);
        let error = labels(list("labels.txt", sorted, None)).unwrap_err();
        assert!(error.contains(said), "{error} should say: {said}");
    }
}

#[test]
fn every_fault_of_a_folder_is_a_sentence() {
    for (files, split, said) in [
        (&["other/a.jpg"][..], Split::Train, "the folder of training images "),
        (&["train/cat/a.jpg"], Split::Test, "the folder of test images "),
        (&["train/a.jpg"], Split::Train, "holds no class folder: give each class a folder"),
        (&["train/cat/a.jpg", "val/a.jpg"], Split::Test, "or set data.test_labels and data.test_numbering"),
        (
            &["train/cat/a.jpg", "train/dog/a.txt"],
            Split::Train,
            "has 1 class folders without an image, such as dog",
        ),
        (
            &["train/cat/a.jpg", "val/dog/a.jpg"],
            Split::Test,
            "has a class folder dog, which the training images do not",
        ),
        (&["train/cat/a.jpg", "val/cat/a.txt"], Split::Test, "holds no image"),
        (
            &["train/a/a.jpg", "train/b/a.jpg", "train/c/a.jpg", "train/d/a.jpg"],
            Split::Train,
            "has 4 class folders, but the network has 3 classes: set model.classes to 4",
        ),
    ] {
        let folder = folder(files);
        let error = plain(&folder, split).err().unwrap();
        assert!(error.contains(said), "{error} should say: {said}");
    }
    let folder = folder(&TRAIN);
    let names = ["a".to_owned(), "b".to_owned()];
    let error =
        opened(&folder, Split::Train, PhotoChoice { train: &names, ..Default::default() }).err().unwrap();
    assert!(error.starts_with("data.train names 2 folders"), "{error}");
}

/// Sets the times of all folders some time back, so that a kept index is surely newer.
fn aged(folder: &Path) {
    let back = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        aged(&entry);
    }
    fs::File::open(folder).unwrap().set_modified(back).unwrap();
}

#[test]
fn the_kept_index_stands_in_for_the_files_until_a_folder_changes() {
    let folder = folder(&["train/cat/a.jpg", "train/dog/b.jpg"]);
    let names = || plain(&folder, Split::Train).map(|data| listed(&*data));
    aged(&folder.path().join("train"));
    let due = pairs(&[("cat/a.jpg", 0), ("dog/b.jpg", 1)]);
    assert_eq!(names().unwrap(), due);
    let kept = fs::read_dir(folder.path().join(".neuropil-index")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&kept).unwrap();
    // Only the index has this name. It is valid as long as the folders' times are those of the index.
    fs::write(&kept, text.replace("a.jpg", "kept.jpg")).unwrap();
    assert_eq!(names().unwrap()[0].0, "cat/kept.jpg");
    // An index with a name that leads out of the folder is not valid.
    fs::write(&kept, text.replace("a.jpg", "../../x.jpg")).unwrap();
    assert_eq!(names().unwrap(), due);

    write(folder.path(), "train/cat/new.jpg", "new");
    assert_eq!(names().unwrap().len(), 3, "a new file is noticed");
    write(folder.path(), "train/cow/new.jpg", "new");
    assert_eq!(names().unwrap().len(), 4, "a new class is noticed");
    fs::remove_file(folder.path().join("train/dog/b.jpg")).unwrap();
    assert!(names().unwrap_err().contains("without an image, such as dog"));
}

#[test]
fn a_file_that_changed_after_it_was_listed_ends_the_run_and_is_listed_anew_at_the_next_start() {
    let folder = folder(&["train/cat/a.jpg", "train/dog/b.jpg"]);
    aged(&folder.path().join("train"));
    let train = plain(&folder, Split::Train).unwrap();
    let before = train.fingerprint();
    // The file is written in place, so that its folder's time stays.
    write(folder.path(), "train/cat/a.jpg", "longer than before");
    let error = train.sample(0, 0).unwrap_err().to_string();
    assert!(error.contains("a.jpg has changed since the files were listed: start again"), "{error}");
    let train = plain(&folder, Split::Train).unwrap();
    assert_ne!(train.fingerprint(), before);
    let error = train.sample(0, 0).unwrap_err().to_string();
    assert!(error.contains("2 broken files among 2") || error.contains("1 broken files among 2"), "{error}");
}
