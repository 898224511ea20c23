//! By which data a run began: what tells another data set under the same path.

use crate::config::Config;
use crate::data::Dataset;
use crate::run_error::RunError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Both halves of the data that a run is trained and tested with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataMark {
    /// What it learns from.
    pub train: SplitMark,
    /// What it is tested with.
    pub test: SplitMark,
}

/// One half of a data set, as far as the run reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMark {
    /// How many samples there are.
    pub samples: usize,
    /// XXH3-64 of their pixels and labels, in hexadecimal.
    pub xxh3: String,
}

impl From<&Dataset> for SplitMark {
    fn from(data: &Dataset) -> Self {
        Self { samples: data.len(), xxh3: format!("{:016x}", data.checksum()) }
    }
}

impl DataMark {
    /// Checks that the run in `folder`, which began with `self`, goes on with the same data, which is `now`. Its test
    /// data may be another part of the set, where `test` is false.
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
