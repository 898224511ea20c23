//! The moments that the worker does not see: the arrivals of commands, and the times at which a transport had received a
//! message or began to send it. They are kept only while a step with a timeline is under way.

use proto::clock::Clock;
use proto::control::StepDone;
use proto::link::{Carried, Observer, Role};
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::timeline::MAX_TRANSFERS;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most commands whose arrivals are kept: more never wait at a node.
const COMMANDS: usize = 128;

/// The moments of one run; clones share them.
#[derive(Clone)]
pub struct Moments {
    clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The steps with a timeline that are under way. Where there is none, a message costs one read of this number.
    under_way: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The arrivals of commands.
    commands: VecDeque<(Phase, u64, u64)>,
    messages: HashMap<Key, u64>,
}

/// A message at one end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    phase: Phase,
    id: MicrobatchId,
    peer: Role,
    sent: bool,
    carried: Carried,
    form: u32,
}

impl Moments {
    /// No moments yet, by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, shared: Arc::default() }
    }

    /// Notes the arrival of a command with actions of a step with a timeline. Of several, the last one counts: it closes
    /// the step.
    pub fn asked(&self, phase: Phase, step: u64) {
        let now = self.clock.now_ns();
        let mut seen = self.seen();
        seen.commands.retain(|(of, known, _)| (*of, *known) != (phase, step));
        if seen.commands.len() == COMMANDS {
            seen.commands.pop_front();
        }
        seen.commands.push_back((phase, step, now));
        self.shared.under_way.store(seen.commands.len(), Relaxed);
    }

    /// Completes the timeline of a closed step, and forgets the step.
    pub fn complete(&self, done: &mut StepDone) {
        let Some(timeline) = &mut done.timeline else { return };
        let (phase, step) = (done.phase, done.step);
        let mut seen = self.seen();
        let command = seen.commands.iter().position(|known| (known.0, known.1) == (phase, step));
        let received = command.and_then(|at| seen.commands.remove(at));
        timeline.exchange.received_ns = received.map_or(0, |(.., at)| at);
        for transfer in &mut timeline.transfers {
            let id = MicrobatchId { step, index: transfer.microbatch };
            let (peer, sent, carried, form) = (transfer.peer, transfer.sent, transfer.carried, transfer.form);
            transfer.transport_ns = seen.messages.remove(&Key { phase, id, peer, sent, carried, form });
        }
        match seen.commands.is_empty() {
            true => seen.messages.clear(),
            // Messages of later steps may have come.
            false => seen.messages.retain(|key, _| key.phase != phase || key.id.step > step),
        }
        self.shared.under_way.store(seen.commands.len(), Relaxed);
    }

    /// The observer of the link to `peer`.
    pub fn observer(&self, peer: Role) -> AtLink {
        AtLink { peer, moments: self.clone() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An observer of one link.
pub struct AtLink {
    peer: Role,
    moments: Moments,
}

impl AtLink {
    fn note(&self, sent: bool, carried: Carried, header: &MicrobatchHeader) {
        if self.moments.shared.under_way.load(Relaxed) == 0 {
            return;
        }
        let now = self.moments.clock.now_ns();
        let &MicrobatchHeader { phase, id, form, .. } = header;
        let messages = &mut self.moments.seen().messages;
        if messages.len() < MAX_TRANSFERS {
            messages.insert(Key { phase, id, peer: self.peer, sent, carried, form }, now);
        }
    }
}

impl Observer for AtLink {
    fn received(&self, carried: Carried, message: &Message) {
        self.note(false, carried, &message.header);
    }

    fn sent(&self, carried: Carried, message: &Message) {
        self.note(true, carried, &message.header);
    }

    fn refused(&self, _: Carried, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::timeline::{Timeline, Transfer};

    fn message(step: u64, index: u32) -> Message {
        let header = MicrobatchHeader {
            run: "run".into(),
            incarnation: 1,
            id: MicrobatchId { step, index },
            phase: Phase::Train,
            minibatch: 4,
            microbatches: 2,
            offset: 0,
            size: 2,
            form: 0,
        };
        Message { header, tensors: Vec::new() }
    }

    #[test]
    fn only_the_messages_of_steps_with_a_timeline_are_kept_and_they_are_kept_once() {
        let moments = Moments::new(Clock::start());
        let below = moments.observer(Role::Stage(0));
        let came = |step, index| below.received(Carried::Activations, &message(step, index));
        let kept = || moments.seen().messages.len();
        came(1, 0);
        assert_eq!(kept(), 0, "no step has a timeline");
        moments.asked(Phase::Train, 2);
        moments.asked(Phase::Train, 3);
        [(1, 1), (2, 0), (2, 1), (3, 0)].into_iter().for_each(|(step, index)| came(step, index));
        let of = |index| Transfer::of((Role::Stage(0), false, Carried::Activations), (index, 0), 8, [1, 2]);
        let complete = |step| {
            let timeline = Timeline { transfers: vec![of(0), of(1)], ..Timeline::default() };
            let mut done = StepDone { step, timeline: Some(timeline), ..StepDone::nothing(Phase::Train) };
            moments.complete(&mut done);
            let Timeline { transfers, exchange } = done.timeline.unwrap();
            let known = transfers.iter().map(|transfer| transfer.transport_ns.is_some());
            (exchange.received_ns > 0, known.collect::<Vec<bool>>())
        };
        assert_eq!(complete(2), (true, vec![true, true]));
        assert_eq!(kept(), 1, "the message of step 3 came early");
        assert_eq!(complete(3), (true, vec![true, false]));
        assert_eq!((complete(3), kept()), ((false, vec![false, false]), 0));
        came(4, 0);
        assert_eq!(kept(), 0);
    }
}
