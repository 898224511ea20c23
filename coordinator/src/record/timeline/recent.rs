//! The actions of the last training steps: in an asynchronous run some of them ran between those of another step.

use proto::control::{Span, StepDone};
use proto::link::Role;
use std::collections::{BTreeMap, VecDeque};

/// The most steps that are kept: no more are under way at once.
const STEPS: usize = 64;
/// The most actions that are kept.
const MOST: usize = 1 << 17;

/// The actions of the last steps, by node, without the parts of U that step B.
#[derive(Default)]
pub struct Recent {
    steps: VecDeque<(u64, BTreeMap<Role, Vec<Span>>)>,
}

impl Recent {
    /// Keeps the actions of `step`, and returns them.
    pub fn add(&mut self, step: u64, nodes: Vec<(Role, &StepDone)>) -> &BTreeMap<Role, Vec<Span>> {
        let own = |done: &StepDone| done.spans.iter().filter(|span| !span.backward).copied().collect();
        let spans = nodes.into_iter().map(|(role, done)| (role, own(done))).collect();
        self.steps.push_back((step, spans));
        while self.steps.len() > STEPS || (self.steps.len() > 1 && self.size() > MOST) {
            self.steps.pop_front();
        }
        &self.steps[self.steps.len() - 1].1
    }

    /// The actions of the steps before `step`.
    pub fn before(&self, step: u64) -> impl Iterator<Item = &BTreeMap<Role, Vec<Span>>> {
        self.steps.iter().filter(move |(known, _)| *known < step).map(|(_, spans)| spans)
    }

    fn size(&self) -> usize {
        self.steps.iter().flat_map(|(_, spans)| spans.values()).map(Vec::len).sum()
    }
}
