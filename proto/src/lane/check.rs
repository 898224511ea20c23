//! The check of a list of actions against the rules of a lane.

use super::{
    Action, LaneError, MAX_ACTIONS, MAX_MICROBATCHES, Phase, SHOWN, WeightVersion, are_of_several_steps,
    draw, word,
};
use crate::microbatch::MicrobatchId;

/// The steps of a list of actions, as far as the list does not tell them.
pub(super) struct Steps<'a> {
    /// The first step.
    pub first: u64,
    /// M of each step.
    pub microbatches: &'a [u32],
    /// The microbatches whose F ran before the list.
    pub before: u32,
}

/// The first step of `actions`, and the number of F actions of each step.
pub(super) fn counted(actions: &[Action]) -> (u64, Vec<u32>) {
    let forwards = actions.iter().filter(|action| matches!(action, Action::Forward(_)));
    let steps: Vec<u64> = forwards.map(|action| action.step()).collect();
    let counts = steps.chunk_by(|a, b| a == b).map(|step| step.len() as u32).collect();
    (steps.first().copied().unwrap_or(0), counts)
}

/// Refuses steps with more microbatches than a part of a lane can know, before any of them takes memory.
pub(super) fn few(microbatches: &[u32]) -> Result<(), LaneError> {
    let most = (MAX_ACTIONS + MAX_MICROBATCHES as usize) as u64;
    let all: u64 = microbatches.iter().map(|count| u64::from(*count)).sum();
    if all > most { Err(too_many()) } else { Ok(()) }
}

fn too_many() -> LaneError {
    LaneError("the steps of a lane cannot have so many microbatches".into())
}

/// Checks `actions` of these steps. `whole` actions close every step that they begin.
///
/// # Errors
/// One sentence that names the first action that is doubled, out of order, or sees the wrong weights.
pub(super) fn check(
    phase: Phase,
    version: WeightVersion,
    steps: &Steps<'_>,
    whole: bool,
    actions: &[Action],
) -> Result<(), LaneError> {
    let mut done = Done::before(version, steps)?;
    let named = |action| word(action, are_of_several_steps(actions));
    for (at, &action) in actions.iter().enumerate() {
        done.take(action)
            .map_err(|why| LaneError(format!("action {at} of the lane, {}, {why}", named(action))))?;
    }
    let forwards = done.updates_at.len();
    let closed = done.updates as usize == steps.microbatches.len();
    let complete = match phase {
        Phase::Train if whole => closed,
        // A part closes a step, and it knows no step of which no F has run.
        Phase::Train => {
            let known = forwards > done.order.len() - steps.microbatches.last().map_or(0, |m| *m as usize);
            matches!(actions.last(), Some(Action::Update(_))) && known
        }
        Phase::Evaluate => done.errors == 0 && done.updates == 0,
    };
    if complete && forwards > 0 && (!whole || forwards == done.order.len()) {
        return Ok(());
    }
    let shown = draw(&actions[..actions.len().min(SHOWN)]);
    let more = if actions.len() > SHOWN { " …" } else { "" };
    Err(LaneError(format!("the {phase} lane '{shown}{more}' is not complete")))
}

/// The fault of an action.
type Wrong = &'static str;

const OUT_OF_PLACE: Wrong = "is doubled or out of order";
const OTHER_VERSION: Wrong = "would see other weights than its F: an update stands between them";

/// The result of the actions so far.
struct Done {
    version: WeightVersion,
    first: u64,
    /// All microbatches in their order, which F, E and G have.
    order: Vec<MicrobatchId>,
    /// For each F so far, the number of updates before it.
    updates_at: Vec<u64>,
    errors: usize,
    gradients: usize,
    updates: u64,
}

impl Done {
    /// Nothing but the F actions before the list.
    fn before(version: WeightVersion, steps: &Steps<'_>) -> Result<Self, LaneError> {
        let is_count = |count: &u32| (1..=MAX_MICROBATCHES).contains(count);
        let last = steps.first.checked_add(steps.microbatches.len().saturating_sub(1) as u64);
        if !steps.microbatches.iter().all(is_count) || last.is_none() {
            return Err(too_many());
        }
        let of = |(step, count): (u64, &u32)| (0..*count).map(move |index| MicrobatchId { step, index });
        let order: Vec<_> = (steps.first..=u64::MAX).zip(steps.microbatches).flat_map(of).collect();
        let before = steps.before as usize;
        if before > order.len() {
            return Err(too_many());
        }
        let updates_at = vec![0; before];
        Ok(Self { version, first: steps.first, order, updates_at, errors: 0, gradients: 0, updates: 0 })
    }

    fn take(&mut self, action: Action) -> Result<(), Wrong> {
        match action {
            Action::Forward(id) if self.order.get(self.updates_at.len()) == Some(&id) => {
                self.updates_at.push(self.updates);
                Ok(())
            }
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
            Action::Forward(_) | Action::Gradient(_) | Action::Update(_) => Err(OUT_OF_PLACE),
        }
    }

    /// E and G take the microbatches in the order of their F, and see the lane's version of the weights.
    fn due(&self, at: usize, id: MicrobatchId) -> Result<(), Wrong> {
        let forward = self.updates_at.get(at).filter(|_| self.order[at] == id).ok_or(OUT_OF_PLACE)?;
        match self.version {
            WeightVersion::OfForward if *forward != self.updates => Err(OTHER_VERSION),
            WeightVersion::OfForward | WeightVersion::Newest => Ok(()),
        }
    }

    /// Whether the next update closes `step`.
    fn is_open(&self, step: u64) -> bool {
        step.checked_sub(self.first) == Some(self.updates)
    }

    /// Whether the last gradient so far is of the last microbatch of `step`.
    fn is_gathered(&self, step: u64) -> bool {
        let of_step =
            |at: Option<usize>| at.and_then(|at| self.order.get(at)).map(|id| id.step) == Some(step);
        of_step(self.gradients.checked_sub(1)) && !of_step(Some(self.gradients))
    }
}
