//! Tests of lanes: they match their drawings, and their properties hold for every small shape.

use proto::lane::Action::{self, Error, Forward, Gradient, Update};
use proto::microbatch::MAX_MICROBATCHES;

use super::*;

fn drawn(schedule: Schedule, stages: u32, microbatches: u32, ahead: u32) -> String {
    draw::lanes(&lanes(schedule, Shape::new(stages, microbatches, ahead).unwrap()))
}

/// Every schedule, stages ≤ 6, microbatches ≤ 12, ahead ≤ 3: the simulation of all of them takes most of the unit tests' time.
pub(super) fn small_shapes() -> impl Iterator<Item = (Schedule, Shape)> {
    let sizes = (1..=6).flat_map(|n| (1..=12).flat_map(move |m| (0..=3).map(move |ahead| (n, m, ahead))));
    let shapes = sizes.map(|(n, m, ahead)| Shape::new(n, m, ahead).unwrap());
    shapes.flat_map(|shape| Schedule::ALL.map(|schedule| (schedule, shape)))
}

#[test]
fn one_f_one_b_is_its_drawing() {
    let drawing = "\
s0  F0 F1 F2 F3 E0 G0 F4 E1 G1 F5 E2 G2 E3 G3 E4 G4 E5 G5 U
s1  F0 F1 F2 E0 G0 F3 E1 G1 F4 E2 G2 F5 E3 G3 E4 G4 E5 G5 U
s2  F0 F1 E0 G0 F2 E1 G1 F3 E2 G2 F4 E3 G3 F5 E4 G4 E5 G5 U
";
    assert_eq!(drawn(Schedule::OneFOneB, 3, 6, 1), drawing);
}

#[test]
fn with_nothing_ahead_the_last_stage_waits_for_every_loss() {
    let drawing = "\
s0  F0 F1 E0 G0 F2 E1 G1 F3 E2 G2 E3 G3 U
s1  F0 E0 G0 F1 E1 G1 F2 E2 G2 F3 E3 G3 U
";
    assert_eq!(drawn(Schedule::OneFOneB, 2, 4, 0), drawing);
}

#[test]
fn a_minibatch_smaller_than_the_warm_up_is_all_warm_up() {
    let drawing = "\
s0  F0 F1 E0 G0 E1 G1 U
s1  F0 F1 E0 G0 E1 G1 U
s2  F0 F1 E0 G0 E1 G1 U
";
    assert_eq!(drawn(Schedule::OneFOneB, 3, 2, 1), drawing);
    assert_eq!(drawn(Schedule::OneFOneB, 1, 1, 0), "s0  F0 E0 G0 U\n");
}

#[test]
fn gpipe_is_its_drawing() {
    let drawing = "\
s0  F0 F1 F2 E0 G0 E1 G1 E2 G2 U
s1  F0 F1 F2 E0 G0 E1 G1 E2 G2 U
";
    assert_eq!(drawn(Schedule::Gpipe, 2, 3, 1), drawing);
}

/// The last stage puts off the most, and stage 0 nothing: it holds as many under one_f_one_b.
#[test]
fn zero_bubble_is_its_drawing() {
    let drawing = "\
s0  F0 F1 F2 F3 E0 G0 F4 E1 G1 F5 E2 G2 E3 G3 E4 G4 E5 G5 U
s1  F0 F1 F2 E0 F3 E1 G0 F4 E2 G1 F5 E3 G2 E4 G3 E5 G4 G5 U
s2  F0 F1 E0 F2 E1 F3 E2 G0 F4 E3 G1 F5 E4 G2 E5 G3 G4 G5 U
";
    assert_eq!(drawn(Schedule::ZeroBubble, 3, 6, 1), drawing);
    let without_the_loss = "\
s0  F0 F1 F2 E0 G0 F3 E1 G1 F4 E2 G2 F5 E3 G3 E4 G4 E5 G5 U
s1  F0 F1 E0 F2 E1 G0 F3 E2 G1 F4 E3 G2 F5 E4 G3 E5 G4 G5 U
s2  F0 E0 F1 E1 F2 E2 G0 F3 E3 G1 F4 E4 G2 F5 E5 G3 G4 G5 U
";
    assert_eq!(drawn(Schedule::ZeroBubble, 3, 6, 0), without_the_loss);
    let few = "\
s0  F0 F1 E0 G0 E1 G1 U
s1  F0 F1 E0 G0 E1 G1 U
s2  F0 F1 E0 G0 E1 G1 U
";
    assert_eq!(drawn(Schedule::ZeroBubble, 3, 2, 1), few, "all is warm-up, and cooldown");
    assert_eq!(drawn(Schedule::ZeroBubble, 1, 1, 0), "s0  F0 E0 G0 U\n");
}

#[test]
fn zero_bubble_has_the_forwards_and_errors_of_one_f_one_b() {
    for (_, shape) in small_shapes().filter(|(schedule, _)| *schedule == Schedule::ZeroBubble) {
        let without = |schedule| -> Vec<Vec<Action>> {
            let is_other = |action: &Action| !matches!(action, Gradient(_));
            let lanes = lanes(schedule, shape).into_iter();
            lanes.map(|lane| lane.actions().iter().copied().filter(is_other).collect()).collect()
        };
        assert_eq!(without(Schedule::ZeroBubble), without(Schedule::OneFOneB), "{shape:?}");
    }
}

/// One stage more has one forward more under way, and nothing waits for an update but the last backward passes.
#[test]
fn asynchronous_is_its_drawing() {
    let drawing = "\
s0  F0.0 F0.1 F1.0 F1.1 E0.0 G0.0 F2.0 E0.1 G0.1 U0 F2.1 E1.0 G1.0 F3.0 E1.1 G1.1 U1 F3.1 E2.0 G2.0 E2.1 G2.1 U2 E3.0 G3.0 E3.1 G3.1 U3
s1  F0.0 F0.1 F1.0 E0.0 G0.0 F1.1 E0.1 G0.1 U0 F2.0 E1.0 G1.0 F2.1 E1.1 G1.1 U1 F3.0 E2.0 G2.0 F3.1 E2.1 G2.1 U2 E3.0 G3.0 E3.1 G3.1 U3
s2  F0.0 F0.1 E0.0 G0.0 F1.0 E0.1 G0.1 U0 F1.1 E1.0 G1.0 F2.0 E1.1 G1.1 U1 F2.1 E2.0 G2.0 F3.0 E2.1 G2.1 U2 F3.1 E3.0 G3.0 E3.1 G3.1 U3
";
    assert_eq!(drawn(Schedule::Asynchronous, 3, 2, 1), drawing);
}

#[test]
fn schedules_are_spelled_alike_in_configs_and_in_print() {
    for (schedule, name) in [
        (Schedule::Gpipe, "gpipe"),
        (Schedule::OneFOneB, "one_f_one_b"),
        (Schedule::ZeroBubble, "zero_bubble"),
        (Schedule::Asynchronous, "asynchronous"),
    ] {
        assert_eq!(schedule.to_string(), name);
        assert_eq!(serde_json::to_value(schedule).unwrap(), name);
        assert_eq!(serde_json::from_value::<Schedule>(name.into()).unwrap(), schedule);
    }
    assert!(serde_json::from_value::<Schedule>("1f1b".into()).is_err());
}

/// The test checks the actions themselves, because `lane` has passed the check of `Lane::new` already.
#[test]
fn every_action_runs_once_in_order_and_after_what_it_needs() {
    for (schedule, shape) in small_shapes().filter(|(schedule, _)| *schedule != Schedule::Asynchronous) {
        for lane in lanes(schedule, shape) {
            let at = |action: Action| lane.actions().iter().position(|&a| a == action).unwrap();
            let m = shape.microbatches();
            assert_eq!(lane.actions().len(), 3 * m as usize + 1, "{schedule} {shape:?}");
            assert_eq!(at(Update(STEP)), 3 * m as usize);
            for kind in [Forward, Error, Gradient] {
                let at = |m| at(kind(microbatch(m)));
                assert!((1..m).all(|m| at(m - 1) < at(m)), "{schedule} {shape:?}");
            }
            let of = |m| [Forward, Error, Gradient].map(|kind| at(kind(microbatch(m))));
            assert!((0..m).all(|m| of(m).is_sorted()));
            assert_eq!(Lane::new(Phase::Train, lane.version(), lane.actions().to_vec()), Ok(lane.clone()));
        }
    }
}

#[test]
fn no_stage_holds_more_activations_than_its_schedule_allows() {
    for (schedule, shape) in small_shapes() {
        for stage in 0..shape.stages() {
            let most = match schedule {
                Schedule::Gpipe => shape.microbatches(),
                Schedule::OneFOneB => (shape.stages() - stage + shape.ahead()).min(shape.microbatches()),
                Schedule::ZeroBubble => (shape.stages() + shape.ahead()).min(shape.microbatches()),
                Schedule::Asynchronous => shape.stages() - stage + shape.ahead(),
            };
            assert_eq!(lane(schedule, stage, shape).held(), most, "{schedule} {shape:?} stage {stage}");
        }
    }
}

#[test]
fn the_largest_minibatch_has_lanes_too() {
    let shape = Shape::new(2, MAX_MICROBATCHES, u32::MAX).unwrap();
    for schedule in [Schedule::Gpipe, Schedule::OneFOneB, Schedule::ZeroBubble] {
        assert_eq!(lanes(schedule, shape)[1].microbatches(), [MAX_MICROBATCHES]);
    }
}
