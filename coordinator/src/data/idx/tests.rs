use super::super::fixtures::{gzip, idx, idx_images, idx_labels, labels as labels_of};
use super::super::{DataKind, IdxChoice, Normalization, Samples, Split, open};
use super::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const IMAGE_FILE: &str = "t10k-images-idx3-ubyte";
const LABEL_FILE: &str = "t10k-labels-idx1-ubyte";

/// Writes `files` and opens them: two images of 2×3 with labels 9 and 0.
fn opened(files: &[(&str, &[u8])]) -> Result<Arc<dyn Samples>, String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    open(DataKind::Idx, &Choice::all(folder.path(), Split::Test, 10)).map_err(|error| error.to_string())
}

fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn images() -> Vec<u8> {
    idx_images([2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
}

fn labels() -> Vec<u8> {
    idx_labels(&[9, 0])
}

#[test]
fn plain_and_compressed_files_hold_the_same() {
    let (images, labels) = (images(), labels());
    let plain = opened(&[(IMAGE_FILE, &images), (LABEL_FILE, &labels)]).unwrap();
    let packed = opened(&[
        ("t10k-images-idx3-ubyte.gz", &gzip(&images)),
        // This file was unpacked by a browser, which kept the name.
        ("t10k-labels-idx1-ubyte.gz", &labels),
    ])
    .unwrap();
    let twice = opened(&[(IMAGE_FILE, &gzip(&gzip(&images))), (LABEL_FILE, &labels)]).unwrap();
    for data in [plain, packed, twice] {
        assert_eq!((data.len(), data.shape(), labels_of(&*data)), (2, [1, 2, 3], vec![9, 0]));
        assert_eq!(*data.pixels(0, 1).unwrap(), [7, 8, 9, 10, 11, 12]);
        assert!(data.pixels(0, 2).is_err() && data.label(2).is_err());
    }
}

#[test]
fn colour_images_have_a_dimension_more() {
    let pixels: Vec<u8> = (1..=12).collect();
    let images = idx(0x0804, &[2, 2, 1, 3], &pixels);
    let data = opened(&[("t10k-images-idx4-ubyte", &images), (LABEL_FILE, &labels())]).unwrap();
    assert_eq!(data.shape(), [2, 1, 3]);
    assert_eq!(*data.pixels(0, 1).unwrap(), [7, 8, 9, 10, 11, 12]);
}

#[test]
fn every_fault_is_a_sentence_that_names_the_file() {
    let (images, labels) = (images(), labels());
    let cut = |bytes: &[u8], by: usize| bytes[..bytes.len() - by].to_vec();
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let huge = idx_images([2, u32::MAX, u32::MAX], &[]);
    let packed_huge = gzip(&idx_images([2, 1 << 20, 1 << 20], &[0; 64]));
    let mut broken = gzip(&images);
    let checksum = broken.len() - 8;
    broken[checksum] ^= 1;

    let image_faults: &[(Vec<u8>, &str)] = &[
        (cut(&images, 1), "should hold 12 bytes after its header but holds only 11"),
        (longer(&images), "goes on after the 12 bytes"),
        (cut(&images, 17), "ends within its header"),
        (Vec::new(), "ends within its header"),
        (b"\x89PNG, or so".to_vec(), "is no idx file, since it starts with 0x89504e47, and images must be"),
        (idx_images([3, 2, 3], &[0; 18]), "declares 3 images, but t10k-labels-idx1-ubyte declares 2 labels"),
        (idx_images([2, 0, 3], &[]), "declares images of 0×3 pixels"),
        (huge, "impossible size"),
        (gzip(&cut(&images, 1)), "should hold 12 bytes after its header but holds only 11"),
        (gzip(&longer(&images)), "goes on after the 12 bytes"),
        (packed_huge, "can unpack to at most"),
        (cut(&gzip(&images), 9), "is not a whole gzip file"),
        (cut(&gzip(&images), 1), "is not a whole gzip file"),
        (broken, "is not a whole gzip file"),
        (longer(&gzip(&images)), "is not a whole gzip file"),
        (gzip(&cut(&gzip(&images), 9)), "is not a whole gzip file"),
        (gzip(&gzip(&gzip(&images))), "is compressed more than 2 times"),
    ];
    for (bytes, text) in image_faults {
        let error = opened(&[(IMAGE_FILE, bytes), (LABEL_FILE, &labels)]).err().unwrap();
        assert!(error.contains(IMAGE_FILE) && error.contains(text), "{error} should say: {text}");
    }

    let label_faults: &[(Vec<u8>, &str)] = &[
        (cut(&labels, 1), "holds only 1"),
        (idx_labels(&[]), "declares 0 labels"),
        (idx_labels(&[9, 10]), "gives sample 1 the label 10, but the network has 10 classes"),
    ];
    for (bytes, text) in label_faults {
        let error = opened(&[(IMAGE_FILE, &images), (LABEL_FILE, bytes)]).err().unwrap();
        assert!(error.contains(LABEL_FILE) && error.contains(text), "{error} should say: {text}");
    }
}

#[test]
fn what_is_missing_is_named_with_the_way_out() {
    let error = opened(&[(LABEL_FILE, &labels())]).err().unwrap();
    assert!(
        error.contains("t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz is missing from the folder"),
        "{error}"
    );
    for way_out in ["data.path", "NEUROPIL_DATA"] {
        assert!(error.contains(way_out), "{error}");
    }
    assert!(!error.contains("demo"), "the demo sets up another kind: {error}");
    let error = open(DataKind::Idx, &Choice::all("no/such/folder".as_ref(), Split::Train, 10))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("the folder no/such/folder, which should hold train-labels-idx1-ubyte or"),
        "{error}"
    );
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[(IMAGE_FILE, &images())]);
    let file = folder.path().join(IMAGE_FILE);
    let error = open(DataKind::Idx, &Choice::all(&file, Split::Test, 10)).err().unwrap().to_string();
    assert!(error.contains("is a file, but should be the folder that holds t10k-labels-idx1"), "{error}");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(LABEL_FILE)).unwrap();
    write(folder.path(), &[(IMAGE_FILE, &images())]);
    let choice = Choice::all(folder.path(), Split::Test, 10);
    let error = open(DataKind::Idx, &choice).err().unwrap().to_string();
    assert!(error.contains(LABEL_FILE) && error.contains("not a regular file"), "{error}");
}

#[test]
fn a_limit_keeps_the_first_samples() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(IMAGE_FILE), images()).unwrap();
    fs::write(folder.path().join(LABEL_FILE), labels()).unwrap();
    let limited = |limit| {
        let choice = Choice { limit: Some(limit), ..Choice::all(folder.path(), Split::Test, 10) };
        open(DataKind::Idx, &choice)
    };
    let first = limited(1).unwrap();
    assert_eq!((first.len(), &*first.pixels(0, 0).unwrap()), (1, &[1, 2, 3, 4, 5, 6][..]));
    assert!(first.pixels(0, 1).is_err());
    assert_eq!(limited(5).unwrap().len(), 2);
    assert!(limited(0).err().unwrap().to_string().contains("data.limit"));

    // Bytes after the last wanted sample are not read, and bytes before it must be whole.
    let start = &images()[..22];
    for file in [start.to_vec(), [&gzip(start)[..], b"torn"].concat()] {
        fs::write(folder.path().join(IMAGE_FILE), file).unwrap();
        assert_eq!(limited(1).unwrap().fingerprint(), first.fingerprint());
        assert!(limited(2).is_err());
    }
}

/// Fashion-MNIST itself, if `cargo xtask demo` or the user has set it up.
#[test]
fn fashion_mnist_opens_where_it_is_there() {
    let root = std::env::var_os("NEUROPIL_DATA").map(Into::into);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../data"));
    let folder = root.join(DataKind::FashionMnist.folder());
    if !folder.is_dir() {
        eprintln!("skipped: Fashion-MNIST is not in {} (`cargo xtask demo` sets it up)", folder.display());
        return;
    }
    let opened = |split| open(DataKind::FashionMnist, &Choice::all(&folder, split, 10)).unwrap();
    let (train, test) = (opened(Split::Train), opened(Split::Test));
    assert_eq!((train.len(), test.len(), train.shape()), (60_000, 10_000, [1, 28, 28]));
    train.check_same_shape(&*test).unwrap();
    for data in [&train, &test] {
        let mut counts = [0; 10];
        labels_of(&**data).iter().for_each(|&label| counts[label as usize] += 1);
        assert_eq!(counts, [data.len() / 10; 10]);
    }
    // The known figures of this data set are those that the idx kind would compute.
    let known = Normalization::of(DataKind::FashionMnist, &*train, None, None).unwrap();
    let computed = Normalization::of(DataKind::Idx, &*train, None, None).unwrap();
    assert!((known.mean()[0] - computed.mean()[0]).abs() < 1e-4);
    assert!((known.std()[0] - computed.std()[0]).abs() < 1e-4);
}

#[test]
fn values_of_another_kind_are_named_with_what_is_due() {
    let due = "but images must be unsigned bytes in 3 dimensions (grey) or in 4 (colour)";
    let swapped = "check whether the files of images and labels are swapped";
    for (file, found, remedy) in [
        (idx(0x0903, &[2, 2, 3], &[0; 12]), "holds signed bytes in 3 dimensions", "convert the file"),
        (idx(0x0b03, &[2, 2, 3], &[0; 24]), "holds 16-bit integers in 3 dimensions", "convert the file"),
        (idx(0x0d03, &[2, 2, 3], &[0; 48]), "holds 32-bit floats in 3 dimensions", "convert the file"),
        (idx(0x0e02, &[2, 6], &[0; 96]), "holds 64-bit floats in 2 dimensions", "convert the file"),
        (idx(0x0802, &[2, 6], &[0; 12]), "holds unsigned bytes in 2 dimensions", "convert the file"),
        (labels(), "holds unsigned bytes in 1 dimension,", swapped),
        (idx(0x0c01, &[2], &[0; 8]), "holds 32-bit integers in 1 dimension,", "convert the file"),
    ] {
        let error = opened(&[(IMAGE_FILE, &file), (LABEL_FILE, &labels())]).err().unwrap();
        for said in [IMAGE_FILE, found, due, remedy, "set data.path to another folder"] {
            assert!(error.contains(said), "{error} should say: {said}");
        }
    }
    let error = opened(&[(IMAGE_FILE, &images()), (LABEL_FILE, &images())]).err().unwrap();
    let due = "holds unsigned bytes in 3 dimensions, but labels must be unsigned bytes in 1 dimension";
    assert!(error.contains(due) && error.contains(swapped), "{error}");
}

#[test]
fn files_are_found_by_their_other_spellings() {
    let (images, labels) = (images(), labels());
    for [image_file, label_file] in [
        ["t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"],
        ["emnist-letters-test-images-idx3-ubyte", "emnist-letters-test-labels-idx1-ubyte"],
        ["test-images-idx3-ubyte", "t10k-labels.idx1-ubyte"],
    ] {
        let data = opened(&[(image_file, &images), (label_file, &labels)]).unwrap();
        assert_eq!((data.len(), labels_of(&*data)), (2, vec![9, 0]), "{image_file}");
    }
    let rows: Vec<u8> = [8u32, 1, 2, 3, 4, 5].into_iter().flat_map(u32::to_be_bytes).collect();
    let qmnist = idx(0x0c02, &[2, 3], &rows);
    let files: [(&str, &[u8]); 2] =
        [("qmnist-test-images-idx3-ubyte", &images), ("qmnist-test-labels-idx2-int", &qmnist)];
    assert_eq!(labels_of(&*opened(&files).unwrap()), [8, 3]);
    // MNIST's own spelling comes first, and a folder of that name is no file.
    let other = idx_images([2, 2, 3], &[0; 12]);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("t10k-images.idx3-ubyte", &other), (LABEL_FILE, &labels)]);
    let pixel = || {
        let data = open(DataKind::Idx, &Choice::all(folder.path(), Split::Test, 10)).unwrap();
        data.pixels(0, 0).unwrap()[0]
    };
    fs::create_dir(folder.path().join(IMAGE_FILE)).unwrap();
    assert_eq!(pixel(), 0);
    fs::remove_dir(folder.path().join(IMAGE_FILE)).unwrap();
    write(folder.path(), &[(IMAGE_FILE, &images)]);
    assert_eq!(pixel(), 1);
}

#[test]
fn a_prefix_chooses_among_several_sets() {
    let folder = tempfile::tempdir().unwrap();
    for (prefix, label) in [("emnist-letters", 1), ("emnist-mnist", 7)] {
        let labels = idx_labels(&[label, label]);
        write(
            folder.path(),
            &[
                (&format!("{prefix}-test-images-idx3-ubyte"), &images()),
                (&format!("{prefix}-test-labels-idx1-ubyte.gz"), &gzip(&labels)),
            ],
        );
    }
    let with = |prefix| {
        let idx = IdxChoice { prefix, ..IdxChoice::default() };
        let choice = Choice { idx, ..Choice::all(folder.path(), Split::Test, 10) };
        open(DataKind::Idx, &choice).map(|data| labels_of(&*data)).map_err(|error| error.to_string())
    };
    assert_eq!(with(Some("emnist-mnist")), Ok(vec![7, 7]));
    assert_eq!(with(Some("emnist-letters-")), Ok(vec![1, 1]));
    let error = with(None).unwrap_err();
    let said = "holds several data sets (emnist-letters, emnist-mnist): set data.prefix to one of them";
    assert!(error.ends_with(said), "{error}");
    let error = with(Some("letters")).unwrap_err();
    assert!(error.ends_with("set it to a prefix that is there (emnist-letters, emnist-mnist)"), "{error}");
    write(folder.path(), &[(IMAGE_FILE, &images()), (LABEL_FILE, &labels())]);
    assert_eq!(with(None), Ok(vec![9, 0]), "files without a prefix");
}

#[test]
fn pictures_are_turned_and_labels_counted_from_the_first_class() {
    let folder = tempfile::tempdir().unwrap();
    let colour = idx(0x0804, &[2, 2, 2, 3], &(1..=24).collect::<Vec<u8>>());
    write(folder.path(), &[("t10k-images-idx4-ubyte", &colour), (LABEL_FILE, &idx_labels(&[2, 1]))]);
    let idx = IdxChoice { transpose: true, first_label: 1, prefix: None };
    let choice = Choice { idx, ..Choice::all(folder.path(), Split::Test, 2) };
    let data = open(DataKind::Idx, &choice).unwrap();
    assert_eq!((data.shape(), labels_of(&*data)), ([2, 3, 2], vec![1, 0]));
    assert_eq!(*data.pixels(0, 0).unwrap(), [1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12]);
}
