//! The work that a node carries from one lane to the next: microbatches whose F has run, and the reports of their steps.
//! Between synchronous lanes there is none.

use proto::control::StepDone;
use proto::microbatch::{MicrobatchHeader, MicrobatchId};
use std::collections::{BTreeMap, HashMap};

/// The work under way.
#[derive(Default)]
pub struct InFlight {
    /// The microbatches between their F and their G.
    pub microbatches: HashMap<MicrobatchId, UnderWay>,
    /// The samples received so far of the step whose F actions are running.
    pub samples: u32,
    /// The work so far of each step that is not closed.
    pub steps: BTreeMap<u64, StepDone>,
}

/// The record that F leaves for E and G.
pub struct UnderWay {
    /// The header of the microbatch's messages; `None` at a backward node until a message has shown it.
    pub header: Option<MicrobatchHeader>,
    /// The updates that F saw.
    pub updates: u64,
}
