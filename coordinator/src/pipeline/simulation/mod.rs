//! A seeded simulation of queues and links: no lane waits for ever, however slow each part is.
//!
//! Every edge and direction has a bounded queue at its sender and one at its receiver, with a link
//! between them. A message keeps its place at the sender until it has one at the receiver, which
//! is the least that a real connection stores.
//!
//! ```text
//! feed ▶ up ▶  stage 0  ▶ up ▶  stage 1  ▶ up ▶ loss ┐
//! drain ◀ down ◀       ◀ down ◀         ◀ down ◀ outbox ┘
//!            there ▼ ▲ back
//!          stage 0, backward
//! ```
//!
//! With separate queues each task waits for one named queue at a time, so (Kahn's argument) delays change the times
//! of a run and never its outcome. With one mailbox for both directions, delays decide the outcome.

mod engine;
mod halves;
mod ring;
mod split;

use proto::lane::{Action, Lane};

use super::tests::small_shapes;
use super::{Schedule, Shape, lanes};
use ring::{Coordinator, Inbox, Trial};

const STEPS: u64 = 3;

/// The coordinator as built: separate queues, three tasks, an outbox of a whole minibatch.
fn as_built(shape: Shape, bound: usize) -> Trial {
    Trial {
        bound,
        inbox: Inbox::PerDirection,
        outbox: shape.microbatches() as usize,
        coordinator: Coordinator::ThreeTasks,
        halves: Vec::new(),
        steps: STEPS,
        seed: 0,
    }
}

fn deadlocks(schedule: Schedule, shape: Shape, trial: &Trial) -> bool {
    trial.run(&lanes(schedule, shape)).is_err()
}

/// The actions of a stage: those of an asynchronous lane, or those of every other lane in each step.
fn executed(lane: &Lane) -> Vec<Action> {
    let rounds = if lane.microbatches().len() > 1 { 1 } else { STEPS };
    (0..rounds).flat_map(|step| lane.starting_at(step).actions().to_vec()).collect()
}

#[test]
fn separate_queues_never_deadlock_and_every_stage_follows_its_lane() {
    for (seed, (schedule, shape)) in (0..).zip(small_shapes()) {
        let lanes = lanes(schedule, shape);
        for bound in [1, 2] {
            let log = Trial { seed, ..as_built(shape, bound) }.run(&lanes);
            let log = log.unwrap_or_else(|stuck| panic!("{schedule} {shape:?} bound {bound}: {stuck}"));
            assert_eq!(log, lanes.iter().map(executed).collect::<Vec<_>>(), "{schedule} {shape:?}");
        }
    }
}

/// A neighbour runs one forward ahead, the coordinator runs one minibatch ahead: activations fill the mailbox, and
/// the error that would make room cannot enter. This test lets the stage take out whichever message its lane needs;
/// a mailbox in the order of arrival is worse.
#[test]
fn one_mailbox_for_both_directions_deadlocks() {
    let trial = |shape, seed| Trial { inbox: Inbox::Shared, seed, ..as_built(shape, 2) };
    for schedule in [Schedule::Gpipe, Schedule::OneFOneB, Schedule::ZeroBubble] {
        let drawn = Shape::new(3, 6, 1).unwrap();
        assert!((0..8).all(|seed| deadlocks(schedule, drawn, &trial(drawn, seed))), "{schedule}");
    }
    let stuck =
        (0..).zip(small_shapes()).filter(|&(seed, (s, shape))| deadlocks(s, shape, &trial(shape, seed)));
    assert!(stuck.count() * 10 > small_shapes().count() * 9);
}

/// Under gpipe the last stage takes no error before its last forward. Until then every computed error has to lie
/// somewhere: in the outbox (K), at the stage (b), within the loss task (1), or as logits on their way to
/// the loss task (2 b).
#[test]
fn gpipe_needs_an_outbox_for_the_errors_of_the_whole_minibatch() {
    for (schedule, shape) in small_shapes().filter(|(_, shape)| shape.stages() <= 2) {
        for (outbox, bound) in [(1, 1), (8, 1), (1, 2), (4, 2)] {
            let too_many = shape.microbatches() as usize > outbox + bound + 1 + 2 * bound;
            let expected = schedule == Schedule::Gpipe && too_many;
            let trial = Trial { outbox, ..as_built(shape, bound) };
            assert_eq!(deadlocks(schedule, shape, &trial), expected, "{schedule} {shape:?} {trial:?}");
        }
    }
}

/// A coordinator that sends all inputs before it computes the first loss gets stuck as soon as the inputs don't
/// fit: stage 0 takes w of them and waits for an error, and the queues and tasks store a limited number.
#[test]
fn a_coordinator_that_sends_all_inputs_first_deadlocks() {
    // Asynchronous steps are not done before the next inputs come.
    for (schedule, shape) in small_shapes().filter(|(schedule, _)| *schedule != Schedule::Asynchronous) {
        let [n, m, bound] = [shape.stages(), shape.microbatches(), 1];
        let taken = if schedule == Schedule::Gpipe { m } else { shape.warm_up(0) };
        let room = (taken + 2 * bound).min(2 * bound * (n + 1) + n);
        let trial = Trial { coordinator: Coordinator::InputsFirst, ..as_built(shape, bound as usize) };
        assert_eq!(deadlocks(schedule, shape, &trial), m > room, "{schedule} {shape:?}");
    }
}
