//! Tests of a survey: odd photographs, and samples of which every figure is known.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::count::Count;
use super::found::{Broken, Extent, Found};
use super::{check, picture, table};
use crate::data::{Augment, Choice, DataKind, Dataset, Loader, Samples, Split, open};

/// Pictures that Pillow made, some of them broken (`scripts/odd_images.py`).
const PHOTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos");

/// The pictures as a folder of two classes.
fn photographs() -> (tempfile::TempDir, Arc<dyn Samples>) {
    let folder = tempfile::tempdir().unwrap();
    for (class, names) in [
        ("cat", &["colour-444.jpg", "pixel.jpg", "truncated.png"][..]),
        ("dog", &["cmyk.jpg", "colour-440.jpg", "empty.jpg", "palette-alpha.png", "animated.webp"]),
    ] {
        let class = folder.path().join("train").join(class);
        fs::create_dir_all(&class).unwrap();
        names.iter().for_each(|name| _ = fs::copy(Path::new(PHOTOS).join(name), class.join(name)).unwrap());
    }
    let set = open(DataKind::ImageFolder, &Choice::all(folder.path(), Split::Train, 2)).unwrap();
    (folder, set)
}

fn found(set: &dyn Samples, threads: usize) -> Found {
    Found::of(set, Count::of(set, threads, |_| {}), threads, Duration::from_secs(4))
}

#[test]
fn classes_sizes_and_broken_files_are_told_whichever_thread_is_faster() {
    let (_folder, set) = photographs();
    assert_eq!(Count::of(&*set, 1, |_| {}), Count::of(&*set, 5, |_| {}));
    let found = found(&*set, 2);
    let classes: Vec<_> = found.classes.iter().map(|class| (class.name.as_deref(), class.samples)).collect();
    assert_eq!((found.samples, &classes[..]), (8, &[(Some("cat"), 3), (Some("dog"), 5)][..]));
    let broken: Vec<_> = found.broken.iter().map(|broken| &*broken.name).collect();
    assert_eq!(broken, ["cat/truncated.png", "dog/empty.jpg"]);
    assert_eq!(found.height, Some(Extent { min: 1, median: 18, max: 32 }));
    assert_eq!(found.width, Some(Extent { min: 1, median: 24, max: 24 }));
    assert_eq!((found.shape, found.mean.len(), found.images_per_s), ([3, 224, 224], 3, 2.0));

    let text = table::table("train", &found);
    for due in [
        "train: 8 samples in ",
        "     0         3  cat",
        "1 to 32, median 18",
        "2 images/s on 2 threads, 1 on each",
    ] {
        assert!(text.contains(due), "{text}");
    }
    assert!(text.contains("broken     2\n") && text.contains(" dog/empty.jpg "), "{text}");

    assert!(check(&found, 0.25).is_ok());
    let error = check(&found, 0.24).unwrap_err();
    assert_eq!(error.cause.code(), 3);
    let says = "has 2 broken files among 8, more than the share of 0.24 that data.max_broken allows (cat/truncated.png ";
    assert!(error.sentence.contains(says), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_ends_a_survey() {
    let (folder, set) = photographs();
    fs::remove_file(folder.path().join("train/cat/pixel.jpg")).unwrap();
    let found = found(&*set, 3);
    let [Broken { name, reason }] = &found.unreadable[..] else { panic!("{:?}", found.unreadable) };
    assert!(name == "cat/pixel.jpg" && reason.contains("cannot read"), "{reason}");
    let error = check(&found, 0.9).unwrap_err();
    assert!(error.cause.code() == 3 && error.sentence.starts_with("1 of 8 files in "), "{error}");
}

#[test]
fn figures_are_over_all_pixels_of_a_channel() {
    let images = vec![0, 255, 51, 51, 255, 0, 51, 153];
    let set = Dataset::new("here".as_ref(), [2, 1, 2], 3, images, vec![2, 0]).unwrap();
    let found = found(&set, 4);
    let near = |figures: &[f64], due: [f64; 2]| figures.iter().zip(due).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near(&found.mean, [0.5, 0.3]) && near(&found.std, [0.5, 0.03f64.sqrt()]), "{found:?}");
    let labels: Vec<_> = found.classes.iter().map(|class| (class.label, class.samples)).collect();
    assert_eq!(labels, [(0, 1), (2, 1)]);
}

#[test]
fn many_classes_are_summed_up_by_their_smallest() {
    let labels: Vec<u32> = (0..100).flat_map(|class| vec![class; if class == 7 { 1 } else { 3 }]).collect();
    let set = Dataset::new("here".as_ref(), [1, 1, 1], 100, vec![0; labels.len()], labels).unwrap();
    let text = table::table("test", &found(&set, 1));
    assert!(text.contains("100 with 1 to 3 samples each; the smallest:\n"), "{text}");
    assert!(text.contains("     7         1\n") && text.lines().count() < 20, "{text}");
}

/// The pixels of a PNG file.
fn decoded(file: &[u8]) -> ([u32; 2], Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    ([frame.width, frame.height], pixels)
}

#[test]
fn a_picture_is_a_grid_of_the_first_minibatch() {
    // Three grey images of 1×2 pixels: a grid of two by two, with gaps of two pixels.
    let set = Dataset::new("here".as_ref(), [1, 1, 2], 1, vec![1, 2, 3, 4, 5, 6], vec![0; 3]).unwrap();
    let loader = Loader::new(Arc::new(set), Augment::NONE, 0);
    let (size, pixels) = decoded(&picture::png(&loader, &[2, 0, 1]).unwrap());
    assert_eq!(size, [10, 8]);
    let at = |row: usize, column: usize| &pixels[3 * (row * 10 + column)..][..3];
    assert_eq!([at(2, 2), at(2, 3), at(2, 6), at(5, 3)], [[5; 3], [6; 3], [1; 3], [4; 3]]);
    assert_eq!([at(0, 0), at(5, 6), at(2, 4)], [[255; 3]; 3]);

    let (_folder, set) = photographs();
    let (size, _) = decoded(&picture::png(&Loader::new(set, Augment::NONE, 0), &[0, 3, 4]).unwrap());
    assert_eq!(size, [2 * 226 + 2; 2]);
}
