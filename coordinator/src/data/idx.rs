//! A reader of idx files, MNIST's format: a folder of images and labels, plain or gzip-compressed.
//!
//! ```text
//! {train,t10k}-images-idx3-ubyte   0x00000803, count, rows, columns (u32, big-endian), then the pixels
//! {train,t10k}-images-idx4-ubyte   0x00000804, count, channels, rows, columns,         then the pixels
//! {train,t10k}-labels-idx1-ubyte   0x00000801, count,                                  then the labels
//! ```
//!
//! The format is described with MNIST (LeCun, Cortes, Burges); Fashion-MNIST keeps it. Each file may end in `.gz`;
//! if both are there, the plain file is read. All images have one size. Files with three dimensions hold grey
//! images; files with four hold a dimension for channels (planes one after the other).
//! dimensions, and with a dimension for channels (planes one after the other) where there are four.

use std::path::Path;

use super::dataset::check_labels;
use super::facts::Facts;
use super::source::Source;
use super::{Augment, DataError, Dataset, Split};

const IMAGES: u32 = 0x0000_0803;
const COLOUR_IMAGES: u32 = 0x0000_0804;
const LABELS: u32 = 0x0000_0801;

/// The remedy for a missing file.
const REMEDY: &str = "run `cargo xtask demo`, which sets up Fashion-MNIST, or set data.path (or \
                      NEUROPIL_DATA, the folder of data sets) to where the files are";

/// The facts of Fashion-MNIST.
pub(super) const FASHION_MNIST: Facts = Facts {
    folder: "fashion-mnist",
    classes: Some(10),
    shape: Some([1, 28, 28]),
    figures: Some((&[0.2860], &[0.3530])),
    variation: Augment { pad: 2, flip: true },
    ..ANY
};

/// The facts of any other folder of idx files. Digits and letters are not mirrored.
pub(super) const ANY: Facts = Facts {
    folder: "idx",
    files: &["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images-idx4-ubyte"],
    classes: None,
    shape: None,
    figures: None,
    variation: Augment { pad: 2, flip: false },
    varied: false,
    open: |folder, split, classes| Ok(Box::new(open(folder, split, classes)?)),
};

/// Opens one split of the idx files in `folder`.
fn open(folder: &Path, split: Split, classes: usize) -> Result<Dataset, DataError> {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let name = format!("{prefix}-labels-idx1-ubyte");
    let labels = read_labels(Source::find(folder, &[&name, &format!("{name}.gz")], REMEDY)?, classes)?;
    let (grey, colour) = (format!("{prefix}-images-idx3-ubyte"), format!("{prefix}-images-idx4-ubyte"));
    let names = [grey.as_str(), &format!("{grey}.gz"), &colour, &format!("{colour}.gz")];
    let names = if folder.join(names[2]).exists() || folder.join(names[3]).exists() {
        &names[..]
    } else {
        &names[..2]
    };
    let (shape, images) = read_images(Source::find(folder, names, REMEDY)?, labels.len())?;
    Dataset::new(folder, shape, classes, images, labels)
}

fn read_labels(mut source: Source, classes: usize) -> Result<Vec<u32>, DataError> {
    expect_magic(&mut source, &[LABELS], "labels")?;
    let [count] = read_sizes(&mut source)?;
    if count == 0 {
        return Err(source.wrong("declares 0 labels"));
    }
    let path = source.path().to_owned();
    let labels: Vec<u32> = source.body(count.into())?.into_iter().map(u32::from).collect();
    check_labels(&path, labels.iter().copied(), classes)?;
    Ok(labels)
}

/// The shape of one image (channels × rows × columns) and all pixels, of exactly `labels` images.
fn read_images(mut source: Source, labels: usize) -> Result<([usize; 3], Vec<u8>), DataError> {
    let magic = expect_magic(&mut source, &[IMAGES, COLOUR_IMAGES], "images")?;
    let [count] = read_sizes(&mut source)?;
    let [channels] = if magic == COLOUR_IMAGES { read_sizes(&mut source)? } else { [1] };
    let [rows, columns] = read_sizes(&mut source)?;
    if count as usize != labels {
        return Err(source.wrong(format!("declares {count} images, but the file of labels {labels}")));
    }
    if rows == 0 || columns == 0 || channels == 0 {
        return Err(
            source.wrong(format!("declares images of {rows}×{columns} pixels in {channels} channel(s)"))
        );
    }
    let sizes = [rows, columns, channels, count];
    let Some(size) = sizes.iter().try_fold(1u64, |product, &size| product.checked_mul(size.into())) else {
        return Err(source.wrong(format!("declares {count} images of {rows}×{columns}, an impossible size")));
    };
    Ok(([channels as usize, rows as usize, columns as usize], source.body(size)?))
}

fn expect_magic(source: &mut Source, expected: &[u32], what: &str) -> Result<u32, DataError> {
    let found = u32::from_be_bytes(source.header()?);
    if expected.contains(&found) {
        return Ok(found);
    }
    let usual = expected[0];
    Err(source.wrong(format!("starts with {found:#010x}, but an idx file of {what} with {usual:#010x}")))
}

fn read_sizes<const N: usize>(source: &mut Source) -> Result<[u32; N], DataError> {
    let mut sizes = [0; N];
    for size in &mut sizes {
        *size = u32::from_be_bytes(source.header()?);
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{gzip, idx_images, idx_labels, labels as labels_of};
    use super::super::{DataKind, Normalization, Samples, open};
    use super::*;
    use std::fs;
    use std::sync::Arc;

    const IMAGE_FILE: &str = "t10k-images-idx3-ubyte";
    const LABEL_FILE: &str = "t10k-labels-idx1-ubyte";

    /// Writes `files` and opens them: two images of 2×3 with labels 9 and 0.
    fn opened(files: &[(&str, &[u8])]) -> Result<Arc<dyn Samples>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        open(DataKind::Idx, folder.path(), Split::Test, 10, None).map_err(|error| error.to_string())
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
        for data in [plain, packed] {
            assert_eq!((data.len(), data.shape(), labels_of(&*data)), (2, [1, 2, 3], vec![9, 0]));
            assert_eq!(*data.pixels(0, 1).unwrap(), [7, 8, 9, 10, 11, 12]);
            assert!(data.pixels(0, 2).is_err() && data.label(2).is_err());
        }
    }

    #[test]
    fn colour_images_have_a_dimension_more() {
        let sizes = [COLOUR_IMAGES, 2, 2, 1, 3].map(u32::to_be_bytes).concat();
        let pixels: Vec<u8> = (1..=12).collect();
        let images = [sizes, pixels].concat();
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
            (labels.clone(), "starts with 0x00000801"),
            (idx_images([3, 2, 3], &[0; 18]), "declares 3 images, but the file of labels 2"),
            (idx_images([2, 0, 3], &[]), "declares images of 0×3 pixels"),
            (huge, "impossible size"),
            (gzip(&cut(&images, 1)), "should hold 12 bytes after its header but holds only 11"),
            (gzip(&longer(&images)), "goes on after the 12 bytes"),
            (packed_huge, "can unpack to at most"),
            (cut(&gzip(&images), 9), "is not a whole gzip file"),
            (cut(&gzip(&images), 1), "is not a whole gzip file"),
            (broken, "is not a whole gzip file"),
            (longer(&gzip(&images)), "is not a whole gzip file"),
        ];
        for (bytes, text) in image_faults {
            let error = opened(&[(IMAGE_FILE, bytes), (LABEL_FILE, &labels)]).err().unwrap();
            assert!(error.contains(IMAGE_FILE) && error.contains(text), "{error} should say: {text}");
        }

        let label_faults: &[(Vec<u8>, &str)] = &[
            (cut(&labels, 1), "holds only 1"),
            (idx_labels(&[]), "declares 0 labels"),
            (idx_labels(&[9, 10]), "gives sample 1 the label 10, but the network has 10 classes"),
            (images.clone(), "starts with 0x00000803"),
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
        for way_out in ["cargo xtask demo", "data.path", "NEUROPIL_DATA"] {
            assert!(error.contains(way_out), "{error}");
        }
        let error =
            open(DataKind::Idx, "no/such/folder".as_ref(), Split::Train, 10, None).err().unwrap().to_string();
        assert!(
            error.contains("the folder no/such/folder, which should hold train-labels-idx1-ubyte or"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_in_the_place_of_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(LABEL_FILE)).unwrap();
        let error = open(DataKind::Idx, folder.path(), Split::Test, 10, None).err().unwrap().to_string();
        assert!(error.contains(LABEL_FILE) && error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_limit_keeps_the_first_samples() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(IMAGE_FILE), images()).unwrap();
        fs::write(folder.path().join(LABEL_FILE), labels()).unwrap();
        let limited = |limit| open(DataKind::Idx, folder.path(), Split::Test, 10, Some(limit));
        let first = limited(1).unwrap();
        assert_eq!((first.len(), &*first.pixels(0, 0).unwrap()), (1, &[1, 2, 3, 4, 5, 6][..]));
        assert!(first.pixels(0, 1).is_err());
        assert_eq!(limited(5).unwrap().len(), 2);
        assert!(limited(0).err().unwrap().to_string().contains("data.limit"));
    }

    /// Fashion-MNIST itself, if `cargo xtask demo` or the user has set it up.
    #[test]
    fn fashion_mnist_opens_where_it_is_there() {
        let root = std::env::var_os("NEUROPIL_DATA").map(Into::into);
        let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../data"));
        let folder = root.join(DataKind::FashionMnist.folder());
        if !folder.is_dir() {
            eprintln!(
                "skipped: Fashion-MNIST is not in {} (`cargo xtask demo` sets it up)",
                folder.display()
            );
            return;
        }
        let opened = |split| open(DataKind::FashionMnist, &folder, split, 10, None).unwrap();
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
}
