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

    /// The fingerprint by which a resumed run recognises the set: another set has another fingerprint.
    ///
    /// Each set chooses the content that it hashes: all pixels and labels if they are in memory, or a list of the
    /// files with their sizes if reading all files would take too long.
    fn fingerprint(&self) -> u64;

    /// Whether decoding takes long enough to be spread over all threads of the machine; a look-up does not.
    fn is_costly(&self) -> bool {
        false
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
