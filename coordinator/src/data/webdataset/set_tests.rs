//! Tests of sets in shards: they have the same samples as folders; also shards that change and samples that are
//! missing.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::fixtures::archive;
use crate::data::{Choice, DataKind, PhotoChoice, Samples, Split, open};

/// Pictures that Pillow made, two of them broken (`scripts/odd_images.py`).
const PHOTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos");
const NAMES: [&str; 8] = [
    "cmyk.jpg",
    "colour-420.jpg",
    "grey-16.png",
    "header-only.jpg",
    "lossy.webp",
    "palette.png",
    "progressive.jpg",
    "truncated.png",
];

fn photo(name: &str) -> Vec<u8> {
    fs::read(Path::new(PHOTOS).join(name)).unwrap()
}

/// A shard with samples of these names, images and labels, last changed an hour ago.
fn shard(path: &Path, samples: &[(&str, &[u8], &str)]) {
    let cls: Vec<_> =
        samples.iter().map(|(name, ..)| format!("{}.cls", name.split('.').next().unwrap())).collect();
    let files = samples.iter().zip(&cls);
    let files: Vec<_> =
        files.flat_map(|((name, image, label), cls)| [(*name, *image), (&**cls, label.as_bytes())]).collect();
    written(path, &archive(&files));
}

/// Writes a file that was last changed an hour ago.
fn written(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
}

fn opened(
    kind: DataKind,
    folder: &Path,
    train: &[String],
    classes: usize,
) -> Result<Arc<dyn Samples>, String> {
    let photos =
        PhotoChoice { train, crop: 16, resize: 18, augment: true, max_broken: 0.5, ..PhotoChoice::default() };
    let choice = Choice { photos, ..Choice::all(folder, Split::Train, classes) };
    open(kind, &choice).map_err(|error| error.to_string())
}

fn shards(folder: &Path, train: &[&str]) -> Result<Arc<dyn Samples>, String> {
    let train: Vec<_> = train.iter().map(|&name| name.to_owned()).collect();
    opened(DataKind::Webdataset, folder, &train, 2)
}

/// The fault of the shards `train`.
fn fault(folder: &Path, train: &[&str]) -> String {
    shards(folder, train).err().expect("a fault")
}

#[test]
fn samples_in_shards_are_those_in_folders() {
    let folder = tempfile::tempdir().unwrap();
    for (class, names) in ["a", "b"].iter().zip(NAMES.chunks(4)) {
        let class = folder.path().join("train").join(class);
        fs::create_dir_all(&class).unwrap();
        names.iter().for_each(|name| fs::write(class.join(name), photo(name)).unwrap());
    }
    let images = NAMES.map(photo);
    let all: Vec<_> = (0..8).map(|at| (NAMES[at], &*images[at], ["0", "1"][at / 4])).collect();
    shard(&folder.path().join("train-00.tar"), &all[..3]);
    shard(&folder.path().join("train-01.tar"), &all[3..]);

    let here = opened(DataKind::ImageFolder, folder.path(), &[], 2).unwrap();
    let there = shards(folder.path(), &["train-{00..01}.tar"]).unwrap();
    assert_eq!((here.len(), here.shape(), there.len(), there.shape()), (8, [3, 16, 16], 8, [3, 16, 16]));
    assert_eq!(
        (there.name(1), there.name(3)),
        ("train-00.tar:colour-420.jpg".into(), "train-01.tar:header-only.jpg".into())
    );
    for (epoch, index) in (0..3).flat_map(|epoch| (0..8).map(move |index| (epoch, index))) {
        assert_eq!(
            here.sample(epoch, index).unwrap(),
            there.sample(epoch, index).unwrap(),
            "{epoch}, {index}"
        );
        assert_eq!(here.label(index).unwrap(), there.label(index).unwrap());
    }
    assert_ne!(there.pixels(0, 0).unwrap(), there.pixels(1, 0).unwrap());
    assert_eq!(
        [3, 7].map(|broken| there.sample(0, broken).unwrap().1),
        [1, 0],
        "the labels of the next whole files"
    );

    let found = shards(folder.path(), &[]).unwrap();
    assert_eq!(found.fingerprint(), there.fingerprint(), "shards are found by their usual names");
    let turned = shards(folder.path(), &["train-01.tar", "train-00.tar"]).unwrap();
    assert_ne!(turned.fingerprint(), there.fingerprint());
    let choice = Choice { limit: Some(4), ..Choice::all(folder.path(), Split::Train, 2) };
    let limited = open(DataKind::Webdataset, &choice).unwrap();
    assert_eq!(
        (0..4).map(|index| limited.name(index)).collect::<Vec<_>>()[3],
        there.name(6),
        "spread evenly"
    );
}

#[test]
fn an_index_is_kept_until_its_shard_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, image) = (folder.path().join("train-0.tar"), photo("colour.png"));
    shard(&path, &[("a.png", &image, "1")]);
    let before = shards(folder.path(), &[]).unwrap();
    let pixels = before.pixels(0, 0).unwrap();
    // The same number of other bytes with the same time: only reading the shard can show it.
    let length = fs::metadata(&path).unwrap().len() as usize;
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, vec![7; length]).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let kept = shards(folder.path(), &[]).unwrap();
    assert_eq!(kept.label(0).unwrap(), 1);

    // The shard comes back with a new time: a set that is open notices it, and the next start reads the shard.
    fs::write(&path, &whole).unwrap();
    let error = before.sample(0, 0).unwrap_err().to_string();
    assert!(error.contains("train-0.tar has changed since it was indexed: start again"), "{error}");
    assert_eq!(shards(folder.path(), &[]).unwrap().pixels(0, 0).unwrap(), pixels);
    fs::write(&path, vec![7; length]).unwrap();
    assert!(fault(folder.path(), &[]).contains("train-0.tar has at byte 0 no header of a tar archive"));
}

#[test]
fn what_is_wrong_with_shards_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let image = photo("colour.png");
    shard(&path("good.tar"), &[("a.png", &image, "1")]);
    shard(&path("high.tar"), &[("a.png", &image, "1"), ("b.png", &image, "2")]);
    written(
        &path("half.tar"),
        &archive(&[("a.png", &image), ("b.png", &image), ("b.cls", b"0"), ("c.cls", b"0")]),
    );
    written(&path("names.tar"), &archive(&[("a.png", &image), ("a.json", b"{\"label\": \"cat\"}")]));
    written(&path("none.tar"), &archive(&[("README", b"nothing here")]));
    written(&path("packed.tar"), b"\x1f\x8b\x08 and so on");
    written(&path("empty.tar"), b"");
    fs::create_dir(path("folder.tar")).unwrap();
    let whole = fs::read(path("good.tar")).unwrap();
    written(&path("torn.tar"), &whole[..700]);
    for (train, says) in [
        (&["good-{0..3}.tar"][..], "good-0.tar is missing from the folder"),
        (
            &["good.tar", "good-{9..3}.tar"],
            "data.train holds \"good-{9..3}.tar\", which has the range {9..3}",
        ),
        (&["good.tar", "{good,high}.tar"], "data.train names the shard good.tar twice"),
        (
            &["high.tar"],
            "high.tar gives \"b.png\" the label 2, but the network has 2 classes, from 0: set model.classes to at least 3",
        ),
        (&["half.tar"], "has 2 samples without an image or a label among 3, more than the share of 0.5"),
        (&["names.tar", "good.tar"], "labels that are names, but that of \"a.png\" is a number"),
        (&["none.tar"], "has shards without a whole sample: give each image"),
        (&["packed.tar"], "packed.tar is compressed"),
        (&["empty.tar"], "empty.tar is empty"),
        (&["folder.tar"], "folder.tar is no file"),
        (&["torn.tar"], "torn.tar has at byte 0 a member of"),
        (&[], "holds no train*.tar: set data.train"),
    ] {
        let fault = fault(folder.path(), train);
        assert!(fault.contains(says), "{train:?}: {fault} should say: {says}");
    }
    let half = shards(folder.path(), &["good.tar", "half.tar"]).unwrap();
    let left_out: Vec<_> = half.left_out().iter().map(|(name, fault)| format!("{name} {fault}")).collect();
    assert_eq!((half.len(), left_out.len()), (2, 2));
    assert!(left_out[0].starts_with("half.tar:a has no label"), "{left_out:?}");
}

#[test]
fn names_of_classes_are_numbered_in_their_order_and_both_splits_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let image = photo("colour.png");
    let json = |name: &str| format!("{{\"label\": \"{name}\"}}").into_bytes();
    let split = |file: &str, names: [&str; 2]| {
        let labels = names.map(json);
        let files = [("a.png", &*image), ("a.json", &labels[0]), ("b.png", &image), ("b.json", &labels[1])];
        written(&folder.path().join(file), &archive(&files));
    };
    split("train.tar", ["dog", "cat"]);
    split("other.tar", ["dog", "cow"]);
    let (train, other) =
        (shards(folder.path(), &["train.tar"]).unwrap(), shards(folder.path(), &["other.tar"]).unwrap());
    assert_eq!(train.class_names().unwrap(), ["cat", "dog"]);
    assert_eq!([0, 1].map(|index| train.label(index).unwrap()), [1, 0]);
    assert!(train.check_same_classes(&*train).is_ok());
    let error = train.check_same_classes(&*other).unwrap_err().to_string();
    assert!(error.contains("whose class 0 is \"cow\", but in those to train on it is \"cat\""), "{error}");

    // Test shards need not have every class, and have no other.
    let test = |name: &str| {
        let [train, test] = ["train.tar", name].map(|name| [name.to_owned()]);
        let photos = PhotoChoice { train: &train, test: &test, ..PhotoChoice::default() };
        let choice = Choice { photos, ..Choice::all(folder.path(), Split::Test, 2) };
        open(DataKind::Webdataset, &choice)
            .map(|test| test.label(0).unwrap())
            .map_err(|error| error.to_string())
    };
    split("dogs.tar", ["dog", "dog"]);
    assert_eq!(test("dogs.tar").unwrap(), 1);
    let error = test("other.tar").unwrap_err();
    assert!(error.contains("gives \"b.png\" the class \"cow\", which no training sample has"), "{error}");
}
