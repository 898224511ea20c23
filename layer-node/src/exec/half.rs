//! A node's half of a stage, with the state that it keeps between two lanes.

use crate::settings::Settings;
use crate::stage::{BackwardHalf, Stage, StageError};
use crate::state::named::State;
use proto::ledger::LayerReads;
use proto::spec::stage::{self, StageSpec};

/// A configured half.
pub enum Half {
    /// The stage itself.
    Forward(Stage),
    /// The B of the stage's split layers.
    Backward(BackwardHalf),
}

/// Calls the function of either half.
macro_rules! either {
    ($half:expr, $one:ident => $call:expr) => {
        match $half {
            Half::Forward($one) => $call,
            Half::Backward($one) => $call,
        }
    };
}

impl Half {
    /// Builds the half that `spec` describes, and draws its weights.
    ///
    /// # Errors
    /// When the specification does not fit together, or memory or device fail.
    pub fn new(spec: &StageSpec, settings: Settings) -> Result<Self, StageError> {
        match spec.half {
            stage::Half::Forward => Stage::new(spec, settings).map(Half::Forward),
            stage::Half::Backward => BackwardHalf::new(spec, settings).map(Half::Backward),
        }
    }

    /// The number of trained numbers, without B.
    pub fn parameters(&self) -> u64 {
        match self {
            Half::Forward(stage) => stage.parameters(),
            Half::Backward(_) => 0,
        }
    }

    /// The number of layers, of which a backward node has those that are split.
    pub fn layers(&self) -> usize {
        either!(self, half => half.layer_count())
    }

    /// The number of finished updates.
    pub fn updates(&self) -> u64 {
        either!(self, half => half.updates())
    }

    /// Sets the number of updates of a restored state.
    pub fn set_updates(&mut self, updates: u64) {
        either!(self, half => half.set_updates(updates));
    }

    /// Whether no run can go on from the state, which belongs to no step.
    pub fn is_torn(&self) -> bool {
        either!(self, half => half.is_torn())
    }

    /// Drops an unfinished minibatch; the state stays as of the last update.
    pub fn abandon(&mut self) {
        either!(self, half => half.abandon());
    }

    /// Sets what follows from W, after the state was filled from that of another run.
    ///
    /// # Errors
    /// When a torch operation fails.
    pub fn begun(&mut self) -> Result<(), StageError> {
        match self {
            Half::Forward(stage) => stage.begun(),
            // No B of a split layer follows W.
            Half::Backward(_) => Ok(()),
        }
    }

    /// All tensors that survive a step, by name.
    pub fn state(&mut self) -> State<'_> {
        either!(self, half => half.state())
    }

    /// The values from which every B on this node was updated, since the node was configured.
    pub fn reads(&self) -> Vec<LayerReads> {
        either!(self, half => half.reads())
    }
}
