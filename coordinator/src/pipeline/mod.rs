//! The pipeline: schedules become lanes, and lanes become drawings and predictions.
//!
//! A lane is the list of actions that one stage carries out. The list decides the order, and the arrival of
//! messages does not: F(m) forward, E(m) error, G(m) the stage's own gradients, U update. Lanes are computed for
//! one minibatch, step 0, and moved to their step ([`Lane::starting_at`]). One forward, one error, for 3 stages, 6
//! microbatches and the coordinator counted as a stage (`ahead` 1):
//!
//! ```text
//! s0  F0 F1 F2 F3 E0 G0 F4 E1 G1 F5 E2 G2 E3 G3 E4 G4 E5 G5 U
//! s1  F0 F1 F2 E0 G0 F3 E1 G1 F4 E2 G2 F5 E3 G3 E4 G4 E5 G5 U
//! s2  F0 F1 E0 G0 F2 E1 G1 F3 E2 G2 F4 E3 G3 F5 E4 G4 E5 G5 U
//! ```
//!
//! gpipe gives the same lane to every stage, here for 2 stages and 3 microbatches:
//!
//! ```text
//! s0  F0 F1 F2 E0 G0 E1 G1 E2 G2 U
//! s1  F0 F1 F2 E0 G0 E1 G1 E2 G2 U
//! ```
//!
//! zero_bubble has the F and E of one_f_one_b, and puts G off into the waits:
//!
//! ```text
//! s0  F0 F1 F2 F3 E0 G0 F4 E1 G1 F5 E2 G2 E3 G3 E4 G4 E5 G5 U
//! s1  F0 F1 F2 E0 F3 E1 G0 F4 E2 G1 F5 E3 G2 E4 G3 E5 G4 G5 U
//! s2  F0 F1 E0 F2 E1 F3 E2 G0 F4 E3 G1 F5 E4 G2 E5 G3 G4 G5 U
//! ```
//!
//! The module has no async, no clocks, no randomness, no tensors and no I/O. Every result is a pure function of its
//! arguments, so a run's order is a function of its configuration alone.

pub mod draw;
mod gpipe;
mod held;
mod one_f_one_b;
mod shape;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
pub mod timing;
mod zero_bubble;

use std::fmt;

use proto::lane::{Lane, WeightVersion};
use proto::microbatch::{MicrobatchId, Phase};
use serde::{Deserialize, Serialize};

pub use held::Held;
pub use shape::{Shape, ShapeError};

/// The schedule: the order of a minibatch's microbatches at a stage. Its names in a configuration are `gpipe`,
/// `one_f_one_b` and `zero_bubble`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// All forwards, then all backwards: every stage holds all M activations.
    Gpipe,
    /// A warm-up of forwards, then one error and one forward in turn: stage s of n holds at most min(n − s + ahead,
    /// M) activations.
    OneFOneB,
    /// The forwards and errors of one_f_one_b, with gradients put off: every stage holds at most min(n + ahead, M)
    /// activations.
    ZeroBubble,
}

impl Schedule {
    /// Every schedule, in the order of help texts.
    pub const ALL: [Schedule; 3] = [Schedule::Gpipe, Schedule::OneFOneB, Schedule::ZeroBubble];
}

/// Prints the name in the configuration.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The training lane of every stage, stage 0 (the nearest to the input) first.
pub fn lanes(schedule: Schedule, shape: Shape) -> Vec<Lane> {
    (0..shape.stages()).map(|stage| lane(schedule, stage, shape)).collect()
}

/// The training lane of one stage.
///
/// # Panics
/// If `stage` is not below `shape.stages()`: a bug of the caller, which no configuration can cause.
pub fn lane(schedule: Schedule, stage: u32, shape: Shape) -> Lane {
    let actions = match schedule {
        Schedule::Gpipe => gpipe::actions(shape.microbatches()),
        Schedule::OneFOneB => one_f_one_b::actions(shape.warm_up(stage), shape.microbatches()),
        Schedule::ZeroBubble => zero_bubble::actions(shape.warm_up(stage), shape),
    };
    let lane = Lane::new(Phase::Train, WeightVersion::OfForward, actions);
    lane.expect("schedules write whole lanes, as the tests show for every shape")
}

/// The step for which lanes are computed.
const STEP: u64 = 0;

/// Microbatch `index` of step 0.
fn microbatch(index: u32) -> MicrobatchId {
    MicrobatchId { step: STEP, index }
}
