//! The interface of every data set: samples that are decoded one at a time.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::DataError;

/// The half of a data set: for training or for measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The samples that train the network.
    Train,
    /// The samples that the network never learns from.
    Test,
}

/// A sample as it is in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined<'a> {
    /// Height and width in the file, in pixels; 0 where its header cannot be read.
    pub size: [usize; 2],
    /// The label.
    pub label: u32,
    /// The pixels in the set's shape, seen without chance; or why they cannot be decoded, as a phrase that follows
    /// the sample's name.
    pub pixels: Result<Cow<'a, [u8]>, String>,
}

/// The samples of one split: at least one, all of one shape once they are decoded.
///
/// Only the set itself ever needs all of its images at once, so a set may be larger than memory and read each
/// sample from its file on request. Several threads ask at the same time.
#[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
pub trait Samples: Send + Sync {
    /// The number of samples, at least 1.
    fn len(&self) -> usize;

    /// The shape of a decoded sample: channels, height and width, each at least 1.
    fn shape(&self) -> [usize; 3];

    /// The number of classes; every label is below it.
    fn classes(&self) -> usize;

    /// The folder or file that an error should name.
    fn origin(&self) -> &Path;

    /// The label of sample `index`, counted from 0. The call is cheap, because nothing is decoded.
    ///
    /// # Errors
    /// An index that is out of range.
    fn label(&self, index: usize) -> Result<u32, DataError>;

    /// The decoded sample `index` as epoch `epoch` sees it: channels × height × width bytes in that order
    /// (channels are planes, rows run from the top). A set in memory lends them.
    ///
    /// The result is a function of the set, the epoch and the index alone; earlier calls have no effect.
    ///
    /// # Errors
    /// An index that is out of range, or a sample whose file is unreadable or malformed.
    fn pixels(&self, epoch: u64, index: usize) -> Result<Cow<'_, [u8]>, DataError>;

    /// What epoch `epoch` sees as sample `index`: [`Samples::pixels`], and the label that belongs to them. A set that
    /// replaces a broken sample by another one has that one's label here.
    ///
    /// # Errors
    /// As those of [`Samples::pixels`].
    fn sample(&self, epoch: u64, index: usize) -> Result<(Cow<'_, [u8]>, u32), DataError> {
        Ok((self.pixels(epoch, index)?, self.label(index)?))
    }

    /// Sample `index` as it is, without chance and without a replacement, for a survey of the set.
    ///
    /// # Errors
    /// An index that is out of range, or a sample whose file is unreadable.
    fn examine(&self, index: usize) -> Result<Examined<'_>, DataError> {
        let [_, height, width] = self.shape();
        let (pixels, label) = (self.pixels(0, index)?, self.label(index)?);
        Ok(Examined { size: [height, width], label, pixels: Ok(pixels) })
    }

    /// The names of the classes in the order of their labels, if the set knows them.
    fn class_names(&self) -> Option<&[String]> {
        None
    }

    /// The name of sample `index`, by which a person finds it.
    fn name(&self, index: usize) -> String {
        format!("sample {index}")
    }

    /// What is no whole sample and was left out: its name, and why, as a phrase that follows the name.
    fn left_out(&self) -> &[(String, String)] {
        &[]
    }

    /// The fingerprint by which a resumed run recognises the set: another set has another fingerprint.
    ///
    /// Each set chooses the content that it hashes: all pixels and labels if they are in memory, or a list of the
    /// files with their sizes if reading all files would take too long.
    fn fingerprint(&self) -> u64;

    /// Whether decoding takes long enough to be spread over all threads of the machine; a look-up does not.
    fn is_costly(&self) -> bool {
        false
    }

    /// Checks that the classes of `test` have the same names, where both sets know them.
    ///
    /// # Errors
    /// The first class whose names differ; the sentence names `test`'s files.
    fn check_same_classes(&self, test: &dyn Samples) -> Result<(), DataError> {
        let (train, other) = match (self.class_names(), test.class_names()) {
            (Some(train), Some(other)) => (train, other),
            (None, None) => return Ok(()),
            (Some(_), None) | (None, Some(_)) => {
                let wrong =
                    "has labels of one form, numbers or names, and those to train on are of the other";
                return Err(DataError::malformed(
                    test.origin(),
                    wrong,
                    "give both halves labels of one form",
                ));
            }
        };
        let name = |names: &[String], class: usize| {
            names.get(class).map_or_else(|| "missing".to_owned(), |name| format!("{name:?}"))
        };
        let Some(class) =
            (0..train.len().max(other.len())).find(|&class| train.get(class) != other.get(class))
        else {
            return Ok(());
        };
        let (train, other) = (name(train, class), name(other, class));
        let wrong = format!(
            "holds test images whose class {class} is {other}, but in those to train on it is {train}"
        );
        Err(DataError::malformed(test.origin(), wrong, "give both halves of the data the same classes"))
    }

    /// Checks that `test` holds samples of the same shape: a network that is trained on `self` needs that.
    ///
    /// # Errors
    /// When the shapes differ; the sentence names `test`'s files.
    fn check_same_shape(&self, test: &dyn Samples) -> Result<(), DataError> {
        if self.shape() == test.shape() {
            return Ok(());
        }
        let text = |[channels, height, width]: [usize; 3]| format!("{channels}×{height}×{width}");
        let (test_shape, train_shape) = (text(test.shape()), text(self.shape()));
        let wrong = format!("holds test images of {test_shape}, but those to train on are {train_shape}");
        Err(DataError::malformed(test.origin(), wrong, "put both halves of one data set into the folder"))
    }
}
