//! Stages whose W and B are on two hosts: what the lanes need of the queues between the halves.

use super::halves::{Crossing, Halves, Replies, Requests};
use super::ring::Trial;
use super::{as_built, executed};
use crate::pipeline::tests::small_shapes;
use crate::pipeline::{Schedule, Shape, lanes};

/// Feedback alignment needs nothing of the samples.
const FEEDBACK: Crossing = Crossing { sample: false, error: true, returned: true, noise: false };
/// Kolen-Pollack needs x.
const LEARNED: Crossing = Crossing { sample: true, ..FEEDBACK };
/// Weight mirror needs noise.
const MIRROR: Crossing = Crossing { noise: true, ..FEEDBACK };
/// Kolen-Pollack above the network's input: nothing comes back.
const BOTTOM: Crossing = Crossing { returned: false, ..LEARNED };
/// Activation alignment above the network's input: samples alone.
const DEAF: Crossing = Crossing { error: false, ..BOTTOM };

/// Stages with up to three split layers, of every kind and with none.
const MIXES: [&[Crossing]; 8] = [
    &[LEARNED],
    &[BOTTOM, LEARNED, LEARNED],
    &[FEEDBACK, FEEDBACK],
    &[],
    &[DEAF, LEARNED],
    &[MIRROR, FEEDBACK, MIRROR],
    &[BOTTOM],
    &[LEARNED, FEEDBACK, LEARNED],
];

/// Halves as built: each direction has queues of its own, and a layer's error waits for the reply above it.
fn halves(layers: &[Crossing], recompute: bool) -> Halves {
    Halves { layers: layers.to_vec(), recompute, requests: Requests::InTurn, replies: Replies::Own }
}

fn deadlocks(schedule: Schedule, shape: Shape, trial: &Trial) -> bool {
    trial.run(&lanes(schedule, shape)).is_err()
}

#[test]
fn halves_never_deadlock_and_both_follow_the_lane() {
    for (seed, (schedule, shape)) in (0..).zip(small_shapes()) {
        let lanes = lanes(schedule, shape);
        let mix = |stage: usize| MIXES[(stage + seed as usize / 5) % MIXES.len()];
        for (bound, recompute) in [(1, false), (1, true), (2, false), (2, true)] {
            let halves: Vec<_> = (0..lanes.len()).map(|stage| halves(mix(stage), recompute)).collect();
            let log = Trial { seed, halves, ..as_built(shape, bound) }.run(&lanes);
            let log = log.unwrap_or_else(|stuck| panic!("{schedule} {shape:?} bound {bound}: {stuck}"));
            let split = lanes.iter().enumerate().filter(|(stage, _)| !mix(*stage).is_empty());
            let all = lanes.iter().chain(split.map(|(_, lane)| lane));
            assert_eq!(log, all.map(executed).collect::<Vec<_>>(), "{schedule} {shape:?}");
        }
    }
}

/// A stage that sends the errors of all layers before it takes a reply fills the queues once there are more layers than
/// the two queues of each direction and the backward node's hands hold.
#[test]
fn errors_of_all_layers_first_deadlock() {
    for (schedule, shape) in small_shapes().filter(|(_, shape)| shape.stages() <= 2 && shape.ahead() == 1) {
        for (bound, layers) in
            [1, 2].into_iter().flat_map(|bound| (1..=12).map(move |layers| (bound, layers)))
        {
            for recompute in [false, true] {
                let of = |requests| {
                    let halves = Halves { requests, ..halves(&vec![LEARNED; layers], recompute) };
                    let halves = vec![halves; shape.stages() as usize];
                    Trial { halves, ..as_built(shape, bound) }
                };
                let expected = layers > 4 * bound + 1;
                let found = deadlocks(schedule, shape, &of(Requests::ErrorsFirst));
                assert_eq!(found, expected, "{schedule} {shape:?} bound {bound} layers {layers}");
                assert!(!deadlocks(schedule, shape, &of(Requests::InTurn)));
            }
        }
    }
}

/// Replies that arrive where activations do: the neighbour below runs ahead, its activations fill the mailbox, and the
/// reply for which the stage waits cannot enter. This test lets the stage take out whichever message it needs.
#[test]
fn replies_in_the_mailbox_of_activations_deadlock() {
    let trial = |shape: Shape, seed, replies| {
        let halves = Halves { replies, ..halves(&[LEARNED, LEARNED], false) };
        Trial { seed, halves: vec![halves; shape.stages() as usize], ..as_built(shape, 2) }
    };
    for schedule in Schedule::ALL {
        let drawn = Shape::new(3, 6, 1).unwrap();
        let stuck =
            |replies| (0..8).filter(|&seed| deadlocks(schedule, drawn, &trial(drawn, seed, replies))).count();
        assert_eq!([Replies::Own, Replies::WithActivations].map(stuck), [0, 8], "{schedule}");
    }
    let stuck = (0..).zip(small_shapes()).filter(|&(seed, (schedule, shape))| {
        deadlocks(schedule, shape, &trial(shape, seed, Replies::WithActivations))
    });
    assert!(stuck.count() * 10 > small_shapes().count() * 9);
}
