//! The beginning of a run from the state of another one: which snapshot the nodes fill their drawn layers from.

use super::limits::MAX_NAME;
use crate::error::ProtocolError;
use serde::{Deserialize, Serialize};

/// The snapshot that a run begins from. A file of weights counts as the snapshot of a run of its own, after 0 updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The run of the snapshot.
    pub run: String,
    /// The number of updates in the snapshot.
    pub updates: u64,
    /// Whether the optimizers' state is taken as well.
    #[serde(default)]
    pub optimizer: bool,
    /// Whether every B begins as its W, in place of the snapshot's B or of a drawn one.
    #[serde(default)]
    pub backward_is_weight: bool,
}

impl Begin {
    pub(crate) fn check(self) -> Result<Self, ProtocolError> {
        if self.run.is_empty() || self.run.len() > MAX_NAME {
            return Err(ProtocolError::invalid(
                "a run can only begin from the state of a run that has a name",
            ));
        }
        Ok(self)
    }
}
