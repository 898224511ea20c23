//! The check of a list of actions against the rules of a lane.

use super::{
    Action, LaneError, MAX_MICROBATCHES, Phase, SHOWN, WeightVersion, are_of_several_steps, draw, word,
};
use crate::microbatch::MicrobatchId;

/// The first step of `actions`, and M of each step.
///
/// # Errors
/// One sentence that names the first action that is doubled, out of order, or sees the wrong weights.
pub(super) fn steps(
    phase: Phase,
    version: WeightVersion,
    actions: &[Action],
) -> Result<(u64, Vec<u32>), LaneError> {
    let mut done = Done { version, ..Done::default() };
    let named = |action| word(action, are_of_several_steps(actions));
    for (at, &action) in actions.iter().enumerate() {
        done.take(action)
            .map_err(|why| LaneError(format!("action {at} of the lane, {}, {why}", named(action))))?;
    }
    let steps = done.microbatches.len() as u64;
    let complete = match phase {
        Phase::Train => done.updates == steps,
        Phase::Evaluate => done.errors == 0 && done.updates == 0,
    };
    match done.forwards.first() {
        Some(first) if complete => Ok((first.id.step, done.microbatches)),
        _ => {
            let shown = draw(&actions[..actions.len().min(SHOWN)]);
            let more = if actions.len() > SHOWN { " …" } else { "" };
            Err(LaneError(format!("the {phase} lane '{shown}{more}' is not complete")))
        }
    }
}

/// The fault of an action.
type Wrong = &'static str;

const OUT_OF_PLACE: Wrong = "is doubled or out of order";
const OTHER_VERSION: Wrong = "would see other weights than its F: an update stands between them";

/// A microbatch whose F has run, and the number of updates before that F.
struct Forward {
    id: MicrobatchId,
    updates: u64,
}

/// The result of the actions so far.
#[derive(Default)]
struct Done {
    version: WeightVersion,
    /// The microbatches in the order of their F. E and G have the same order.
    forwards: Vec<Forward>,
    errors: usize,
    gradients: usize,
    updates: u64,
    microbatches: Vec<u32>,
}

impl Done {
    fn take(&mut self, action: Action) -> Result<(), Wrong> {
        match action {
            Action::Forward(id) => self.forward(id),
            Action::Error(id) => {
                self.due(self.errors, id)?;
                self.errors += 1;
                Ok(())
            }
            Action::Gradient(id) if self.gradients < self.errors && self.is_open(id.step) => {
                self.due(self.gradients, id)?;
                self.gradients += 1;
                Ok(())
            }
            Action::Update(step) if self.is_open(step) && self.is_gathered(step) => {
                self.updates += 1;
                Ok(())
            }
            Action::Gradient(_) | Action::Update(_) => Err(OUT_OF_PLACE),
        }
    }

    /// F takes the next microbatch of the open step, or the first microbatch of the next step. A closed step takes
    /// no F.
    fn forward(&mut self, id: MicrobatchId) -> Result<(), Wrong> {
        let last = self.forwards.last().map(|last| last.id);
        let begins = last.is_none_or(|last| last.step.checked_add(1) == Some(id.step));
        let follows = last.is_some_and(|last| (last.step, last.index + 1) == (id.step, id.index));
        let closed = self.updates == self.microbatches.len() as u64;
        match self.microbatches.last_mut() {
            Some(count) if follows && !closed && id.index < MAX_MICROBATCHES => *count += 1,
            _ if begins && id.index == 0 => self.microbatches.push(1),
            _ => return Err(OUT_OF_PLACE),
        }
        self.forwards.push(Forward { id, updates: self.updates });
        Ok(())
    }

    /// E and G take the microbatches in the order of their F, and see the lane's version of the weights.
    fn due(&self, at: usize, id: MicrobatchId) -> Result<(), Wrong> {
        let forward = self.forwards.get(at).filter(|forward| forward.id == id).ok_or(OUT_OF_PLACE)?;
        match self.version {
            WeightVersion::OfForward if forward.updates != self.updates => Err(OTHER_VERSION),
            WeightVersion::OfForward => Ok(()),
        }
    }

    /// Whether the next update closes `step`.
    fn is_open(&self, step: u64) -> bool {
        self.forwards.first().is_some_and(|first| step.checked_sub(first.id.step) == Some(self.updates))
    }

    /// Whether the last gradient so far is of the last microbatch of `step`.
    fn is_gathered(&self, step: u64) -> bool {
        let of_step =
            |at: Option<usize>| at.and_then(|at| self.forwards.get(at)).map(|f| f.id.step) == Some(step);
        of_step(self.gradients.checked_sub(1)) && !of_step(Some(self.gradients))
    }
}
