//! A reader of idx files, MNIST's format: a folder of images and labels, plain or gzip-compressed.
//!
//! ```text
//! {train,t10k}-images-idx3-ubyte   0x00000803, count, rows, columns (u32, big-endian), then the pixels
//! {train,t10k}-images-idx4-ubyte   0x00000804, count, channels, rows, columns,         then the pixels
//! {train,t10k}-labels-idx1-ubyte   0x00000801, count,                                  then the labels
//! {train,test}-labels-idx2-int     0x00000c02, count, columns, then rows of i32 that begin with the label (QMNIST)
//! ```
//!
//! The format is described with MNIST (LeCun, Cortes, Burges); Fashion-MNIST keeps it. The names have other
//! spellings, and EMNIST's and QMNIST's have a prefix: see [`names`]. All images have one size. Files with three
//! dimensions hold grey images; files with four hold a dimension for channels (planes one after the other).

mod header;
mod names;
#[cfg(test)]
mod tests;

use super::class_names;
use super::dataset::check_labels;
use super::facts::Facts;
use super::room;
use super::source::Source;
use super::{Augment, Choice, DataError, Dataset};

/// The facts of Fashion-MNIST.
pub(super) const FASHION_MNIST: Facts = Facts {
    folder: "fashion-mnist",
    files: names::PLAIN,
    classes: Some(10),
    shape: Some([1, 28, 28]),
    samples: Some([60_000, 10_000]),
    figures: Some((&[0.2860], &[0.3530])),
    variation: Augment { pad: 2, flip: true },
    open: |choice| {
        let remedy = "run `cargo xtask demo`, which sets up Fashion-MNIST, or set data.path (or NEUROPIL_DATA, \
                      the folder of data sets) to where the files are";
        Ok(Box::new(open(choice, remedy)?.named(Some(class_names::owned(&class_names::FASHION_MNIST)))))
    },
    ..ANY
};

/// The facts of any other folder of idx files. Digits and letters are not mirrored.
pub(super) const ANY: Facts = Facts {
    folder: "idx",
    files: names::KNOWN,
    classes: None,
    shape: None,
    samples: None,
    figures: None,
    variation: Augment { pad: 2, flip: false },
    varied: false,
    is_idx: true,
    is_photographs: false,
    open: |choice| {
        let remedy = "put the file there, or set data.path (or NEUROPIL_DATA, the folder of data sets) to the \
                      folder that holds it";
        Ok(Box::new(open(choice, remedy)?))
    },
};

/// Opens one split of the idx files in a folder; `remedy` is the remedy for a missing file.
fn open(choice: &Choice<'_>, remedy: &'static str) -> Result<Dataset, DataError> {
    let [labels, images] = names::find(choice, remedy)?;
    let (mut labels, mut images) = (Source::open(labels)?, Source::open(images)?);
    let declared = header::labels(&mut labels)?;
    let (count, shape) = header::images(&mut images)?;
    if count != declared.count {
        let other = labels.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wrong = format!("declares {count} images, but {other} declares {} labels", declared.count);
        return Err(DataError::malformed(
            images.path(),
            wrong,
            "put the images and the labels of one data set into the folder",
        ));
    }
    let wanted = choice.limit.map_or(count, |limit| count.min(limit as u64));
    // The header checked that the product of all sizes is a number of bytes.
    let size: u64 = shape.iter().map(|&extent| extent as u64).product();
    images.must_hold(count * size, wanted * size)?;
    room::check(images.path(), choice, [wanted, size])?;
    let path = labels.path().to_owned();
    let mut labels = declared.read(labels, wanted)?;
    check_labels(&path, &labels, choice.classes, choice.idx.first_label)?;
    labels.iter_mut().for_each(|label| *label -= choice.idx.first_label);
    let mut pixels = images.body(count * size, wanted * size)?;
    let shape = if choice.idx.transpose { transposed(&mut pixels, shape) } else { shape };
    Dataset::new(choice.folder, shape, choice.classes, pixels, labels)
}

/// Swaps the rows and the columns of every plane, and returns the new shape.
fn transposed(pixels: &mut [u8], [channels, rows, columns]: [usize; 3]) -> [usize; 3] {
    let mut plane = vec![0; rows * columns];
    for pixels in pixels.chunks_exact_mut(rows * columns) {
        plane.copy_from_slice(pixels);
        for (at, pixel) in pixels.iter_mut().enumerate() {
            *pixel = plane[at % rows * columns + at / rows];
        }
    }
    [channels, columns, rows]
}
