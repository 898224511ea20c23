//! The mark of a run's data: sizes and checksums, by which a resumed run notices another data set under the same
//! path.

use crate::config::Config;
use crate::data::Samples;
use crate::driver::Sets;
use crate::run_error::RunError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The marks of the training data and of the test data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMark {
    /// The training data.
    pub train: SplitMark,
    /// The test data.
    pub test: SplitMark,
}

/// The mark of one split, as far as the run reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMark {
    /// The number of samples.
    pub samples: usize,
    /// [`Samples::fingerprint`], in hexadecimal: XXH3-64 of the pixels and labels of a set in memory.
    pub xxh3: String,
}

impl From<&dyn Samples> for SplitMark {
    fn from(data: &dyn Samples) -> Self {
        Self { samples: data.len(), xxh3: format!("{:016x}", data.fingerprint()) }
    }
}

impl DataMark {
    /// The mark of `sets`.
    pub fn of(sets: &Sets) -> Self {
        Self { train: sets.train.data().into(), test: sets.test.data().into() }
    }

    /// Checks that the run in `folder`, which began with `self`, goes on with the same data; `now` is the mark of
    /// the data at hand. The test data may differ if `test` is false.
    ///
    /// # Errors
    /// One sentence with both numbers of samples and both checksums.
    pub fn check(&self, now: &DataMark, test: bool, config: &Config, folder: &Path) -> Result<(), RunError> {
        let halves = [("training", &self.train, &now.train, true), ("test", &self.test, &now.test, test)];
        let other = halves.into_iter().find(|(_, began, now, looked_at)| *looked_at && began != now);
        let Some((half, began, now, _)) = other else { return Ok(()) };
        Err(RunError::configuration(format!(
            "the {half} data in {} are not those of the run in {}: {} samples of checksum {} here, {} of {} there: set data.path to the data that it began with",
            config.data.path.display(),
            folder.display(),
            now.samples,
            now.xxh3,
            began.samples,
            began.xxh3
        )))
    }
}
