//! A reader of CIFAR-10 and CIFAR-100 in their binary versions: records of labels and 3×32×32 pixels.
//!
//! ```text
//! CIFAR-10    data_batch_1.bin … data_batch_5.bin, test_batch.bin   label, 1024 red, 1024 green, 1024 blue
//! CIFAR-100   train.bin, test.bin    coarse label, fine label, 1024 red, 1024 green, 1024 blue
//! ```
//!
//! The format is the authors' (<https://www.cs.toronto.edu/~kriz/cifar.html>). Files have no header, so a file that
//! is torn between two records can't be told from a small file: the reader logs a warning.

use super::class_names;
use super::dataset::check_labels;
use super::facts::Facts;
use super::room;
use super::source::Source;
use super::{Augment, Choice, DataError, Dataset, Split};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;

/// The usual augmentation: a crop out of 4 pixels of padding, and a flip (He et al., "Deep Residual Learning",
/// arXiv 1512.03385, 4.2).
const VARIATION: Augment = Augment { pad: 4, flip: true };

/// The facts of CIFAR-10.
pub(super) const TEN: Facts = Facts {
    folder: "cifar-10-batches-bin",
    files: &["data_batch_1.bin", "data_batch_1.bin.gz"],
    classes: Some(10),
    shape: Some([3, 32, 32]),
    samples: Some([50_000, 10_000]),
    figures: Some((&[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616])),
    variation: VARIATION,
    varied: true,
    is_idx: false,
    is_photographs: false,
    open: |choice| {
        Ok(Box::new(open(&FORMAT_TEN, choice)?.named(Some(class_names::owned(&class_names::CIFAR_10)))))
    },
};

/// The facts of CIFAR-100.
pub(super) const HUNDRED: Facts = Facts {
    folder: "cifar-100-binary",
    files: &["train.bin", "train.bin.gz"],
    classes: Some(100),
    figures: Some((&[0.5071, 0.4865, 0.4409], &[0.2673, 0.2564, 0.2762])),
    open: |choice| Ok(Box::new(open(&FORMAT_HUNDRED, choice)?.named(class_names::cifar_100(choice.folder)))),
    ..TEN
};

/// The record format of CIFAR-10 or CIFAR-100.
struct Format {
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// The number of values of each label byte; the network learns the last label.
    labels: &'static [usize],
    /// The size of each published training file, in records; test files have 10,000.
    train_records: usize,
    remedy: &'static str,
}

const FORMAT_TEN: Format = Format {
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    labels: &[10],
    train_records: 10_000,
    remedy: "unpack CIFAR-10's binary version (cifar-10-binary.tar.gz), and set data.path to the folder \
             cifar-10-batches-bin or NEUROPIL_DATA to the folder that holds it",
};

const FORMAT_HUNDRED: Format = Format {
    train: &["train.bin"],
    test: &["test.bin"],
    labels: &[20, 100],
    train_records: 50_000,
    remedy: "unpack CIFAR-100's binary version (cifar-100-binary.tar.gz), and set data.path to the folder \
             cifar-100-binary or NEUROPIL_DATA to the folder that holds it",
};

/// Opens one split of the files in a folder.
fn open(format: &Format, choice: &Choice<'_>) -> Result<Dataset, DataError> {
    let (files, records) = match choice.split {
        Split::Train => (format.train, format.train_records),
        Split::Test => (format.test, 10_000),
    };
    let mut images = Vec::new();
    let mut labels: Vec<u32> = Vec::new();
    for name in files {
        let left = choice.limit.map_or(usize::MAX, |limit| limit - labels.len());
        if left == 0 {
            break;
        }
        let source = Source::find(choice.folder, &[name], format.remedy)?;
        let path = source.path().to_owned();
        let before = labels.len();
        let found = append(format, source, choice, left, (&mut images, &mut labels))?;
        check_labels(&path, &labels[before..], choice.classes, 0)?;
        if found != records {
            tracing::warn!(file = %path.display(), found, published = records, "not the published size");
        }
    }
    Dataset::new(choice.folder, SHAPE, choice.classes, images, labels)
}

/// Appends the first records of one file, at most `most`, and returns the number of records that the file holds.
fn append(
    format: &Format,
    mut source: Source,
    choice: &Choice<'_>,
    most: usize,
    (images, labels): (&mut Vec<u8>, &mut Vec<u32>),
) -> Result<usize, DataError> {
    let record = format.labels.len() + PIXELS;
    // A record never starts as a gzip file does: 0x1f is above every first label.
    let Some(length) = source.plain_length() else {
        return Err(source.wrong("is compressed, but CIFAR's files are read unpacked"));
    };
    if length == 0 || length % record as u64 != 0 {
        return Err(
            source.wrong(format!("holds {length} bytes, which are not whole records of {record} bytes"))
        );
    }
    let there = usize::try_from(length / record as u64).unwrap_or(usize::MAX);
    let wanted = there.min(most);
    room::check(source.path(), choice, [wanted as u64, PIXELS as u64])?;
    images.reserve_exact(wanted * PIXELS);
    let mut marks = Vec::with_capacity(format.labels.len());
    for sample in 0..wanted {
        marks.clear();
        source.append(&mut marks, format.labels.len() as u64)?;
        source.append(images, PIXELS as u64)?;
        check_format(format, source.path(), sample, &marks)?;
        labels.extend(marks.last().map(|&label| u32::from(label)));
    }
    Ok(there)
}

/// Refuses a label that the format can't have: the file has another format, or was torn and joined.
fn check_format(
    format: &Format,
    path: &std::path::Path,
    sample: usize,
    marks: &[u8],
) -> Result<(), DataError> {
    let wrong = marks.iter().zip(format.labels).find(|&(&label, &values)| usize::from(label) >= values);
    let Some((label, values)) = wrong else { return Ok(()) };
    let wrong =
        format!("gives sample {sample} the label {label}, but this format has {values} labels, from 0");
    Err(DataError::malformed(path, wrong, format.remedy))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{gzip, labels};
    use super::super::{DataKind, Samples, open};
    use super::*;
    use std::fs;
    use std::sync::Arc;

    /// A record whose red, green and blue planes are constant.
    fn record(labels: &[u8], planes: [u8; 3]) -> Vec<u8> {
        let mut record = labels.to_vec();
        planes.iter().for_each(|&value| record.extend([value; 1024]));
        record
    }

    fn opened(kind: DataKind, split: Split, files: &[(&str, Vec<u8>)]) -> Result<Arc<dyn Samples>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let classes = kind.classes().unwrap();
        open(kind, &Choice::all(folder.path(), split, classes)).map_err(|error| error.to_string())
    }

    #[test]
    fn ten_joins_its_five_batches_in_order() {
        let files: Vec<_> = FORMAT_TEN
            .train
            .iter()
            .zip(0..)
            .map(|(&name, n)| (name, record(&[n], [n, 10 + n, 20 + n])))
            .collect();
        let data = opened(DataKind::Cifar10, Split::Train, &files).unwrap();
        assert_eq!((data.shape(), labels(&*data)), (SHAPE, vec![0, 1, 2, 3, 4]));
        let pixels = data.pixels(0, 3).unwrap();
        assert_eq!((pixels[0], pixels[1024], pixels[3071]), (3, 13, 23));

        let error = opened(DataKind::Cifar10, Split::Train, &files[..4]).err().unwrap();
        assert!(
            error.starts_with("data_batch_5.bin is missing") && error.contains("cifar-10-binary"),
            "{error}"
        );
    }

    #[test]
    fn hundred_learns_the_fine_label() {
        let file = [record(&[19, 99], [1, 2, 3]), record(&[0, 7], [4, 5, 6])].concat();
        let data = opened(DataKind::Cifar100, Split::Test, &[("test.bin", file)]).unwrap();
        assert_eq!(labels(&*data), [99, 7]);
        assert_eq!(data.pixels(0, 1).unwrap()[3071], 6);
    }

    #[test]
    fn every_fault_is_a_sentence_that_names_the_file() {
        let ten = record(&[3], [0; 3]);
        let faults: &[(Vec<u8>, &str)] = &[
            (Vec::new(), "holds 0 bytes"),
            (ten[1..].to_vec(), "holds 3072 bytes, which are not whole records of 3073"),
            ([&ten[..], &[0]].concat(), "holds 3074 bytes"),
            (record(&[10], [0; 3]), "gives sample 0 the label 10"),
            (gzip(&ten), "is compressed"),
        ];
        for (bytes, text) in faults {
            let error =
                opened(DataKind::Cifar10, Split::Test, &[("test_batch.bin", bytes.clone())]).err().unwrap();
            assert!(error.contains("test_batch.bin") && error.contains(text), "{error} should say: {text}");
        }
        // CIFAR-10's bytes under CIFAR-100's name: the size may fit, the coarse label can't.
        let file = record(&[20, 0], [0; 3]);
        let error = opened(DataKind::Cifar100, Split::Test, &[("test.bin", file)]).err().unwrap();
        assert!(error.contains("test.bin") && error.contains("label 20"), "{error}");
    }
}
