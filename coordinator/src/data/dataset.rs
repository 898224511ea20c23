//! A data set in memory: images as bytes, labels as numbers. The constructor refuses wrong lengths.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use std::hash::Hasher;
use twox_hash::XxHash3_64;

use super::{DataError, Samples};

/// The samples of one split: at least one, all of one shape, every label below the number of classes.
#[derive(Debug, Clone)]
pub struct Dataset {
    origin: PathBuf,
    shape: [usize; 3],
    classes: usize,
    images: Vec<u8>,
    labels: Vec<u32>,
    names: Option<Vec<String>>,
}

impl Dataset {
    /// A data set of `images`, sample after sample, each `shape` = channels × height × width bytes in
    /// that order (channels are planes, rows run from the top), and one label per image.
    ///
    /// `origin` is the file or folder that an error should name.
    ///
    /// # Errors
    /// When a dimension or the number of samples is 0, a length differs from what the shape says, or a
    /// label is not below `classes`.
    pub fn new(
        origin: &Path,
        shape: [usize; 3],
        classes: usize,
        images: Vec<u8>,
        labels: Vec<u32>,
    ) -> Result<Self, DataError> {
        let expected = shape.iter().try_fold(labels.len(), |product, &extent| product.checked_mul(extent));
        if expected == Some(0) || expected != Some(images.len()) {
            let [channels, height, width] = shape;
            let wrong = format!(
                "holds {} labels and {} bytes of images of {channels}×{height}×{width}",
                labels.len(),
                images.len()
            );
            return Err(DataError::malformed(origin, wrong, "give one whole image per label, at least one"));
        }
        check_labels(origin, &labels, classes, 0)?;
        Ok(Dataset { origin: origin.to_owned(), shape, classes, images, labels, names: None })
    }

    /// The same samples, whose classes have these names.
    pub fn named(self, names: Option<Vec<String>>) -> Self {
        Self { names, ..self }
    }

    /// The error for a sample index that is out of range.
    fn no_such(&self, index: usize) -> DataError {
        DataError::NoSuchSample { path: self.origin.clone(), index, samples: self.labels.len() }
    }
}

impl Samples for Dataset {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn origin(&self) -> &Path {
        &self.origin
    }

    fn class_names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    fn label(&self, index: usize) -> Result<u32, DataError> {
        self.labels.get(index).copied().ok_or_else(|| self.no_such(index))
    }

    /// Lends the pixels; every epoch has the same.
    fn pixels(&self, _: u64, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let size = self.shape.iter().product();
        let pixels = self.images.chunks_exact(size).nth(index);
        pixels.map(Cow::Borrowed).ok_or_else(|| self.no_such(index))
    }

    /// XXH3-64 of all pixels and then all labels (little-endian).
    fn fingerprint(&self) -> u64 {
        let mut hash = XxHash3_64::new();
        hash.write(&self.images);
        self.labels.iter().for_each(|label| hash.write(&label.to_le_bytes()));
        hash.finish()
    }
}

/// Checks that every label has a class: there are `classes` of them, from the label `first` on. `path` is the file that
/// holds the labels.
pub(super) fn check_labels(path: &Path, labels: &[u32], classes: usize, first: u32) -> Result<(), DataError> {
    let labels = || labels.iter().copied();
    let fits = |label: u32| label.checked_sub(first).is_some_and(|class| (class as usize) < classes);
    let Some((sample, label)) = labels().enumerate().find(|&(_, label)| !fits(label)) else { return Ok(()) };
    let (least, most) =
        labels().fold((label, label), |(least, most), label| (least.min(label), most.max(label)));
    let wrong = format!(
        "gives sample {sample} the label {label}, but the network has {classes} classes, from {first}"
    );
    let wider = u64::from(most).saturating_sub(first.into()) + 1;
    let remedy = if least < first {
        format!("set data.first_label to {least}, the lowest label, or use another file")
    } else if least > first && ((most - least) as usize) < classes {
        format!("set data.first_label to {least}, the lowest label, or model.classes to at least {wider}")
    } else {
        format!("set model.classes to at least {wider}, or use another file")
    };
    Err(DataError::malformed(path, wrong, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_with_a_wrong_length_cannot_exist() {
        let dataset = |shape, images: usize, labels: Vec<u32>| {
            Dataset::new("here".as_ref(), shape, 10, vec![0; images], labels).map(|data| data.len())
        };
        assert_eq!(dataset([1, 2, 3], 12, vec![0, 9]).ok(), Some(2));
        for (shape, images, labels) in [
            ([1, 2, 3], 11, vec![0, 9]),
            ([1, 2, 3], 0, vec![]),
            ([1, 0, 3], 0, vec![1]),
            ([usize::MAX; 3], 1, vec![1]),
        ] {
            assert!(dataset(shape, images, labels).unwrap_err().to_string().starts_with("here holds"));
        }
        let error = dataset([1, 1, 1], 3, vec![0, 10, 12]).unwrap_err().to_string();
        assert!(
            error.contains("sample 1 the label 10") && error.contains("model.classes to at least 13"),
            "{error}"
        );
    }

    #[test]
    fn labels_that_begin_above_the_first_class_are_told_the_key() {
        let said = |labels: &[u32], classes, first| {
            check_labels("here".as_ref(), labels, classes, first).map_err(|error| error.to_string())
        };
        assert_eq!(said(&[1, 26, 2], 26, 1), Ok(()));
        assert_eq!(
            said(&[1, 26, 2], 26, 0).unwrap_err(),
            "here gives sample 1 the label 26, but the network has 26 classes, from 0: set data.first_label to 1, the lowest label, or model.classes to at least 27"
        );
        assert_eq!(
            said(&[1, 0], 26, 1).unwrap_err(),
            "here gives sample 1 the label 0, but the network has 26 classes, from 1: set data.first_label to 0, the lowest label, or use another file"
        );
        let error = said(&[1, 40], 26, 1).unwrap_err();
        assert!(error.ends_with("set model.classes to at least 40, or use another file"), "{error}");
    }
}
