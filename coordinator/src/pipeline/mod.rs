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
//! asynchronous never flushes: a stage goes on with the next step, here with 2 microbatches in a step, and a drain after
//! two steps:
//!
//! ```text
//! s0  F0.0 F0.1 F1.0 F1.1 E0.0 G0.0 E0.1 G0.1 U0 E1.0 G1.0 E1.1 G1.1 U1
//! s1  F0.0 F0.1 F1.0 E0.0 G0.0 F1.1 E0.1 G0.1 U0 E1.0 G1.0 E1.1 G1.1 U1
//! s2  F0.0 F0.1 E0.0 G0.0 F1.0 E0.1 G0.1 U0 F1.1 E1.0 G1.0 E1.1 G1.1 U1
//! ```
//!
//! The module has no async, no clocks, no randomness, no tensors and no I/O. Every result is a pure function of its
//! arguments, so a run's order is a function of its configuration alone.

pub mod asynchronous;
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

/// The schedule: the order of the microbatches at a stage. Its names in a configuration are `gpipe`, `one_f_one_b`,
/// `zero_bubble` and `asynchronous`.
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
    /// No step is flushed: stage s of n holds at most n − s + ahead activations, and backward passes see newer weights
    /// than their forward passes.
    Asynchronous,
}

impl Schedule {
    /// Every schedule, in the order of help texts.
    pub const ALL: [Schedule; 4] =
        [Schedule::Gpipe, Schedule::OneFOneB, Schedule::ZeroBubble, Schedule::Asynchronous];
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

/// The lanes of all stages from which [`timing::pace`] reads the pace of consecutive steps: those of one step, or of so
/// many steps that an asynchronous pipeline is in its stride, but no more than `between_drains` where that is not 0.
pub fn strides(schedule: Schedule, shape: Shape, between_drains: u32) -> Vec<Lane> {
    let timed = if u64::from(shape.stages()) * u64::from(shape.microbatches()) < MANY { 8 } else { 2 };
    let most = if between_drains == 0 { u32::MAX } else { between_drains };
    let steps = (2 * shape.lookahead() + timed).min(most);
    (0..shape.stages()).map(|stage| lane_of(schedule, stage, shape, steps)).collect()
}

/// Microbatches of all stages from which on few asynchronous steps are timed: the simulation of more would take long.
const MANY: u64 = 1000;

/// The training lane of one stage, for one step. A lane of [`Schedule::Asynchronous`] has as many steps as it takes to
/// fill the pipeline, to go on for two steps, and to drain it.
///
/// # Panics
/// If `stage` is not below `shape.stages()`: a bug of the caller, which no configuration can cause.
pub fn lane(schedule: Schedule, stage: u32, shape: Shape) -> Lane {
    lane_of(schedule, stage, shape, shape.lookahead() + 2)
}

/// The training lane of one stage, for one step, or for so many `steps` where the schedule is asynchronous.
fn lane_of(schedule: Schedule, stage: u32, shape: Shape, steps: u32) -> Lane {
    let (microbatches, warm_up) = (shape.microbatches(), shape.warm_up(stage));
    let (version, actions) = match schedule {
        Schedule::Gpipe => (WeightVersion::OfForward, gpipe::actions(microbatches)),
        Schedule::OneFOneB => (WeightVersion::OfForward, one_f_one_b::actions(warm_up, microbatches)),
        Schedule::ZeroBubble => (WeightVersion::OfForward, zero_bubble::actions(warm_up, shape)),
        Schedule::Asynchronous => {
            let steps = vec![microbatches; steps as usize];
            (WeightVersion::Newest, asynchronous::actions(shape.lead(stage), &steps))
        }
    };
    let lane = Lane::new(Phase::Train, version, actions);
    lane.expect("schedules write whole lanes, as the tests show for every shape")
}

/// The step for which lanes are computed.
const STEP: u64 = 0;

/// Microbatch `index` of step 0.
fn microbatch(index: u32) -> MicrobatchId {
    MicrobatchId { step: STEP, index }
}
