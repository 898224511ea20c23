//! A lane: the list of actions that one stage carries out, in order.
//!
//! A lane spans one step or several. The drawing of one step names its microbatches by their indices. The
//! drawing of several steps names the steps as well:
//!
//! ```text
//! F0 F1 E0 G0 E1 G1 U
//! F7.0 F7.1 E7.0 G7.0 E7.1 G7.1 U7 F8.0 F8.1 E8.0 G8.0 E8.1 G8.1 U8
//! ```
//!
//! An asynchronous lane runs F of later steps before it closes a step. It reaches a stage in parts, each of which ends
//! with an update, and goes on with the microbatches that the part before it has left under way:
//!
//! ```text
//! F7.0 F7.1 F8.0 E7.0 G7.0 F8.1 E7.1 G7.1 U7      F9.0 E8.0 G8.0 F9.1 E8.1 G8.1 U8
//! ```

mod check;
#[cfg(test)]
mod tests;

use crate::microbatch::{MAX_MICROBATCHES, MicrobatchId, Phase};
use check::Steps;
use std::fmt;
use std::str::FromStr;

/// One action of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Take the activation from below, send the stage's output above.
    Forward(MicrobatchId),
    /// Take the error signal, send the stage's error below. E needs B, never W.
    Error(MicrobatchId),
    /// Compute the stage's own gradients; the microbatch's activation is released.
    Gradient(MicrobatchId),
    /// Step the optimizers of W and B with the gradients of this step. The update closes the step.
    Update(u64),
}

impl Action {
    /// The step that the action belongs to.
    pub fn step(self) -> u64 {
        match self {
            Action::Forward(m) | Action::Error(m) | Action::Gradient(m) => m.step,
            Action::Update(step) => step,
        }
    }

    /// The same action in another step.
    pub fn in_step(self, step: u64) -> Self {
        match self {
            Action::Forward(m) => Action::Forward(MicrobatchId { step, ..m }),
            Action::Error(m) => Action::Error(MicrobatchId { step, ..m }),
            Action::Gradient(m) => Action::Gradient(MicrobatchId { step, ..m }),
            Action::Update(_) => Action::Update(step),
        }
    }
}

/// Prints as the drawing of one step does: `F0`, `E0`, `G0`, `U`. `{:#}` names the step: `F7.0`, `U7`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, index) = match self {
            Action::Forward(m) => ("F", Some(m.index)),
            Action::Error(m) => ("E", Some(m.index)),
            Action::Gradient(m) => ("G", Some(m.index)),
            Action::Update(_) => ("U", None),
        };
        match (index, f.alternate()) {
            (Some(index), false) => write!(f, "{letter}{index}"),
            (Some(index), true) => write!(f, "{letter}{}.{index}", self.step()),
            (None, false) => f.write_str(letter),
            (None, true) => write!(f, "{letter}{}", self.step()),
        }
    }
}

/// Reads both forms of a drawing; an action without a step belongs to step 0.
impl FromStr for Action {
    type Err = LaneError;

    fn from_str(text: &str) -> Result<Self, LaneError> {
        let unknown = || LaneError(format!("'{text}' is no action: F0, F7.0, E0, G0, U and U7 are"));
        let step = |digits: &str| digits.parse::<u64>().map_err(|_| unknown());
        let microbatch = |rest: &str| {
            let (first, index) = rest.split_once('.').unwrap_or(("0", rest));
            let index = index.parse::<u32>().map_err(|_| unknown())?;
            Ok(MicrobatchId { step: step(first)?, index })
        };
        match text.split_at_checked(1).ok_or_else(unknown)? {
            ("F", rest) => microbatch(rest).map(Action::Forward),
            ("E", rest) => microbatch(rest).map(Action::Error),
            ("G", rest) => microbatch(rest).map(Action::Gradient),
            ("U", "") => Ok(Action::Update(0)),
            ("U", digits) => step(digits).map(Action::Update),
            _ => Err(unknown()),
        }
    }
}

/// Which version of the weights the actions of a microbatch see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WeightVersion {
    /// E and G see the version that F saw: no update stands between the F and the G of a microbatch, so every
    /// step is flushed before the next one begins.
    #[default]
    OfForward,
    /// E and G see the newest version, which may be newer than the version that F saw: no step is flushed.
    Newest,
}

/// The most actions of a lane of one step: F, E and G of every microbatch, and U.
pub const MAX_ACTIONS: usize = 3 * MAX_MICROBATCHES as usize + 1;
/// The most actions that an error shows of a list that is not a lane.
const SHOWN: usize = 32;

/// The reason for which a list of actions is not a lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LaneError(String);

/// A checked list of actions of one stage, for one minibatch or for several consecutive minibatches.
///
/// A lane of [`Phase::Train`] runs F, E and G of every microbatch once, each kind in ascending order of
/// (step, index) and F before E before G of the same microbatch. U closes each step once, in ascending order,
/// after all G of the step and before any G of the next one. The lane's [`WeightVersion`] is the version of
/// the weights that E and G see. A lane of [`Phase::Evaluate`] runs F of every microbatch once, in ascending
/// order, and nothing else.
///
/// A part of an asynchronous lane ends with an update. Microbatches whose F has run may be under way before it and
/// after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    phase: Phase,
    version: WeightVersion,
    first: u64,
    /// M, the number of microbatches, of each step.
    microbatches: Vec<u32>,
    /// The microbatches under way before the first action.
    before: u32,
    actions: Vec<Action>,
}

impl Lane {
    /// Checks `actions` and makes them a lane of `phase`. E and G see `version` of the weights.
    ///
    /// # Errors
    /// One sentence that names the first action that breaks a rule above.
    pub fn new(phase: Phase, version: WeightVersion, actions: Vec<Action>) -> Result<Self, LaneError> {
        let (first, microbatches) = check::counted(&actions);
        let steps = Steps { first, microbatches: &microbatches, before: 0 };
        check::check(phase, version, &steps, true, &actions)?;
        Ok(Self { phase, version, first, microbatches, before: 0, actions })
    }

    /// Checks `actions` and makes them a part of an asynchronous lane of [`Phase::Train`]. `microbatches` has M of each
    /// step, from `first` on, of which the part runs an action, or of which an F has run before. `before` is the number of
    /// microbatches under way before the part; they are the first ones of these steps.
    ///
    /// # Errors
    /// One sentence that names the first action that breaks a rule above.
    pub fn part(
        first: u64,
        microbatches: Vec<u32>,
        before: u32,
        actions: Vec<Action>,
    ) -> Result<Self, LaneError> {
        let (phase, version) = (Phase::Train, WeightVersion::Newest);
        check::few(&microbatches)?;
        let steps = Steps { first, microbatches: &microbatches, before };
        check::check(phase, version, &steps, false, &actions)?;
        Ok(Self { phase, version, first, microbatches, before, actions })
    }

    /// The lane of an evaluation's step 0: `F0 F1 … F(M-1)`.
    pub fn evaluate(microbatches: u32) -> Self {
        let forward = |index| Action::Forward(MicrobatchId { step: 0, index });
        let actions = (0..microbatches).map(forward).collect();
        let (phase, version) = (Phase::Evaluate, WeightVersion::default());
        Self { phase, version, first: 0, microbatches: vec![microbatches], before: 0, actions }
    }

    /// The same lane with `step` as its first step.
    pub fn starting_at(&self, step: u64) -> Self {
        let moved = |action: &Action| action.in_step(step + (action.step() - self.first));
        Self { first: step, actions: self.actions.iter().map(moved).collect(), ..self.clone() }
    }

    /// The phase of the lane.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The version of the weights that E and G see.
    pub fn version(&self) -> WeightVersion {
        self.version
    }

    /// The first step.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// M, the number of microbatches, of each step in order.
    pub fn microbatches(&self) -> &[u32] {
        &self.microbatches
    }

    /// The number of microbatches that are under way before the first action: their F has run, and their G has not.
    pub fn before(&self) -> u32 {
        self.before
    }

    /// The number of microbatches that are under way after the last action. An evaluation has none.
    pub fn after(&self) -> u32 {
        self.under_way().last().unwrap_or(self.before)
    }

    /// The words of the actions in a drawing: those of a lane of several steps name their steps.
    pub fn words(&self) -> Vec<String> {
        let several = are_of_several_steps(&self.actions);
        self.actions.iter().map(|&action| word(action, several)).collect()
    }

    /// The actions in the order in which they run.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The most microbatches whose activations are held at once: a microbatch is held from its F
    /// until its G ends (an evaluation holds none).
    pub fn held(&self) -> u32 {
        self.under_way().max().unwrap_or(0)
    }

    /// The number of microbatches between their F and their G after each action; an evaluation has none.
    fn under_way(&self) -> impl Iterator<Item = u32> {
        let trains = self.phase == Phase::Train;
        self.actions.iter().scan(self.before, move |held, action| {
            match action {
                Action::Forward(_) if trains => *held += 1,
                Action::Gradient(_) => *held -= 1,
                Action::Forward(_) | Action::Error(_) | Action::Update(_) => {}
            }
            Some(*held)
        })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&draw(&self.actions))
    }
}

/// The actions side by side.
fn draw(actions: &[Action]) -> String {
    let several = are_of_several_steps(actions);
    actions.iter().map(|&action| word(action, several)).collect::<Vec<_>>().join(" ")
}

/// An action in a drawing of one step or of `several`.
fn word(action: Action, several: bool) -> String {
    if several { format!("{action:#}") } else { action.to_string() }
}

fn are_of_several_steps(actions: &[Action]) -> bool {
    actions.windows(2).any(|pair| pair[0].step() != pair[1].step())
}
