//! A lane: the list of actions that one stage executes for one minibatch, in order.

use std::fmt;
use std::str::FromStr;

/// The most microbatches that a minibatch may be cut into.
pub const MAX_MICROBATCHES: u32 = 4096;

/// One thing that a stage does. The number is the microbatch's index in its minibatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Take the activation from below, send the stage's output above.
    Forward(u32),
    /// Take the error signal from above, send the stage's error below. Needs B, never W.
    Error(u32),
    /// Compute the stage's own gradients; the microbatch's activation is released.
    Gradient(u32),
    /// Step the optimizers of W and B with what has been accumulated.
    Update,
}

/// Prints as the drawings do: `F0`, `E0`, `G0`, `U`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Forward(m) => write!(f, "F{m}"),
            Action::Error(m) => write!(f, "E{m}"),
            Action::Gradient(m) => write!(f, "G{m}"),
            Action::Update => write!(f, "U"),
        }
    }
}

impl FromStr for Action {
    type Err = LaneError;

    fn from_str(text: &str) -> Result<Self, LaneError> {
        let unknown = || LaneError(format!("'{text}' is no action: F0, E0, G0 and U are"));
        let index = || text[1..].parse::<u32>().map_err(|_| unknown());
        match text.as_bytes().first() {
            Some(b'F') => Ok(Action::Forward(index()?)),
            Some(b'E') => Ok(Action::Error(index()?)),
            Some(b'G') => Ok(Action::Gradient(index()?)),
            Some(b'U') if text.len() == 1 => Ok(Action::Update),
            _ => Err(unknown()),
        }
    }
}

/// The most actions of a lane: F, E and G of every microbatch, and U.
pub const MAX_ACTIONS: usize = 3 * MAX_MICROBATCHES as usize + 1;
/// So many actions of a list that is no lane are shown.
const SHOWN: usize = 32;

/// Why a list of actions is not a lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LaneError(String);

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Forward, error, gradient and update; batch norms use and move their statistics.
    Train,
    /// Forward only; nothing is kept and nothing moves.
    Evaluate,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Train => "train",
            Phase::Evaluate => "evaluate",
        })
    }
}

/// A checked list of actions for one minibatch of one stage.
///
/// A lane of [`Phase::Train`] runs F, E and G of every microbatch once, each kind in ascending
/// order and F before E before G of the same microbatch, and ends with its only update. A lane of
/// [`Phase::Evaluate`] runs F of every microbatch once, in ascending order, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    phase: Phase,
    microbatches: u32,
    actions: Vec<Action>,
}

impl Lane {
    /// Checks `actions` and makes them a lane of `phase`.
    ///
    /// # Errors
    /// One sentence that names the first action that breaks a rule above.
    pub fn new(phase: Phase, actions: Vec<Action>) -> Result<Self, LaneError> {
        let [mut forwards, mut errors, mut gradients] = [0u32; 3];
        for (at, &action) in actions.iter().enumerate() {
            let (next, limit) = match action {
                Action::Forward(m) => ((m, &mut forwards), MAX_MICROBATCHES),
                Action::Error(m) => ((m, &mut errors), forwards),
                Action::Gradient(m) => ((m, &mut gradients), errors),
                Action::Update if gradients == forwards && at + 1 == actions.len() => continue,
                Action::Update => return Err(out_of_place(at, action)),
            };
            let (index, done) = next;
            if index != *done || index >= limit {
                return Err(out_of_place(at, action));
            }
            *done += 1;
        }
        let updates = actions.last() == Some(&Action::Update);
        let complete = match phase {
            Phase::Train => updates,
            Phase::Evaluate => errors == 0 && gradients == 0 && !updates,
        };
        if forwards == 0 || !complete {
            let shown = draw(&actions[..actions.len().min(SHOWN)]);
            let more = if actions.len() > SHOWN { " …" } else { "" };
            return Err(LaneError(format!("the {phase} lane '{shown}{more}' is not complete")));
        }
        Ok(Self { phase, microbatches: forwards, actions })
    }

    /// The lane of an evaluation: `F0 F1 … F(M-1)`.
    pub fn evaluate(microbatches: u32) -> Self {
        let actions = (0..microbatches).map(Action::Forward).collect();
        Self { phase: Phase::Evaluate, microbatches, actions }
    }

    /// What the lane is for.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// M, how many microbatches the lane runs.
    pub fn microbatches(&self) -> u32 {
        self.microbatches
    }

    /// The actions in the order in which they run.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The most microbatches whose activations are held at once: a microbatch is held from its F
    /// until its G ends (an evaluation holds none).
    pub fn held(&self) -> u32 {
        if self.phase == Phase::Evaluate {
            return 0;
        }
        let mut held = 0i64;
        let mut most = 0i64;
        for action in &self.actions {
            match action {
                Action::Forward(_) => held += 1,
                Action::Gradient(_) => held -= 1,
                _ => {}
            }
            most = most.max(held);
        }
        u32::try_from(most).unwrap_or(0)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&draw(&self.actions))
    }
}

fn draw(actions: &[Action]) -> String {
    let words: Vec<String> = actions.iter().map(Action::to_string).collect();
    words.join(" ")
}

fn out_of_place(at: usize, action: Action) -> LaneError {
    LaneError(format!("action {at} of the lane, {action}, is doubled or out of order"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(phase: Phase, drawing: &str) -> Result<Lane, LaneError> {
        let actions: Result<Vec<_>, _> = drawing.split_whitespace().map(str::parse).collect();
        Lane::new(phase, actions?)
    }

    #[test]
    fn a_lane_prints_as_it_was_drawn() {
        let drawing = "F0 F1 E0 G0 E1 G1 U";
        assert_eq!(lane(Phase::Train, drawing).unwrap().to_string(), drawing);
        assert_eq!(lane(Phase::Train, drawing).unwrap().held(), 2);
        assert_eq!(Lane::evaluate(3), lane(Phase::Evaluate, "F0 F1 F2").unwrap());
    }

    #[test]
    fn what_is_no_lane_is_refused() {
        for bad in [
            "",
            "U",
            "F0",
            "F0 E0 G0",
            "E0 F0 G0 U",
            "F0 G0 E0 U",
            "F0 F0 E0 G0 U",
            "F1 E1 G1 U",
            "F0 E0 U G0",
            "U F0 E0 G0 U",
            "F0 E0 G0 U U",
            "F0 E0 G0 U F1 E1 G1 U",
            "X0",
            "F-1",
            "F",
            "U0",
        ] {
            assert!(lane(Phase::Train, bad).is_err(), "{bad}");
        }
        for bad in ["", "F0 E0", "F0 U", "F1"] {
            assert!(lane(Phase::Evaluate, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_longest_lane_is_taken_and_a_longer_one_is_refused_in_a_sentence() {
        let all = 0..MAX_MICROBATCHES;
        let mut actions: Vec<Action> = all.clone().map(Action::Forward).collect();
        actions.extend(all.flat_map(|m| [Action::Error(m), Action::Gradient(m)]));
        let unfinished = Lane::new(Phase::Train, actions.clone()).unwrap_err().to_string();
        assert!(unfinished.contains("F0 F1") && unfinished.len() < 300, "{unfinished}");
        actions.push(Action::Update);
        assert_eq!(actions.len(), MAX_ACTIONS);
        assert!(Lane::new(Phase::Train, actions.clone()).is_ok());
        actions.push(Action::Update);
        let doubled = Lane::new(Phase::Train, actions).unwrap_err().to_string();
        assert!(doubled.contains("is doubled or out of order"), "{doubled}");
    }
}
