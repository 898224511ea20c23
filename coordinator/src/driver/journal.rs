//! The journal: the coordinator's own part in the timelines of steps. The feeder, the loss task and the drain note their
//! work in it, only for steps with a timeline.

use proto::clock::Clock;
use proto::link::{Carried, Role};
use proto::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use proto::timeline::{MAX_TRANSFERS, Transfer};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A microbatch of a phase.
pub(super) type At = (Phase, MicrobatchId);

/// The microbatch of `header`.
pub(super) fn at(header: &MicrobatchHeader) -> At {
    (header.phase, header.id)
}

/// The most steps that are kept: more are never under way.
const STEPS: usize = super::MOST_UNDER_WAY as usize;

/// The coordinator's part in a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnWork {
    /// The work on microbatches.
    pub tasks: Vec<TaskSpan>,
    /// The messages to and from the ends of the ring.
    pub transfers: Vec<Transfer>,
}

/// A piece of the coordinator's work, in nanoseconds since the Unix epoch by its own clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskSpan {
    /// The task.
    pub task: Task,
    /// The index of the microbatch.
    pub microbatch: u32,
    /// The beginning.
    pub start_ns: u64,
    /// The end.
    pub end_ns: u64,
}

/// The coordinator's work on a microbatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The feeder waits for samples that are still being loaded.
    Load,
    /// The loss task turns logits into a loss and an error.
    Loss,
}

/// The journal of a pipeline; clones share it.
#[derive(Clone)]
pub(super) struct Journal {
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The steps that are kept. Where there is none, an entry costs one read of this number.
    kept: AtomicUsize,
    steps: Mutex<VecDeque<(Phase, u64, OwnWork)>>,
}

impl Journal {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, shared: Arc::default() }
    }

    /// Keeps the entries of a step from now on.
    pub(super) fn open(&self, phase: Phase, step: u64) {
        let mut steps = self.steps();
        if steps.len() == STEPS {
            steps.pop_front();
        }
        steps.push_back((phase, step, OwnWork::default()));
        self.shared.kept.store(steps.len(), Relaxed);
    }

    /// The entries of a step, which is closed.
    pub(super) fn take(&self, phase: Phase, step: u64) -> Option<OwnWork> {
        let mut steps = self.steps();
        let at = steps.iter().position(|(of, number, _)| (*of, *number) == (phase, step))?;
        let (.., work) = steps.remove(at)?;
        self.shared.kept.store(steps.len(), Relaxed);
        Some(work)
    }

    /// The time now, in nanoseconds since the Unix epoch.
    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Notes work on a microbatch since `start_ns`.
    pub(super) fn worked(&self, at: At, task: Task, start_ns: u64) {
        self.note(at, |work, end_ns| {
            work.tasks.push(TaskSpan { task, microbatch: at.1.index, start_ns, end_ns });
        });
    }

    /// Notes a message of so many bytes between an end of the ring and `of`, since `start_ns`.
    pub(super) fn transferred(&self, of: (Role, bool, Carried), at: At, bytes: u64, start_ns: u64) {
        self.note(at, |work, now| {
            work.transfers.push(Transfer::of(of, (at.1.index, 0), bytes, [start_ns, now]));
        });
    }

    fn note(&self, (phase, id): At, note: impl FnOnce(&mut OwnWork, u64)) {
        if self.shared.kept.load(Relaxed) == 0 {
            return;
        }
        let now = self.now_ns();
        let mut steps = self.steps();
        let step = steps.iter_mut().find(|(of, step, _)| (*of, *step) == (phase, id.step));
        if let Some((.., work)) = step.filter(|(.., work)| work.transfers.len() < MAX_TRANSFERS) {
            note(work, now);
        }
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<(Phase, u64, OwnWork)>> {
        self.shared.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
