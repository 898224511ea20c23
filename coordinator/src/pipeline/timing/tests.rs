//! Tests of predictions against small pipelines that were worked out by hand, and against closed forms.

use proto::lane::{Lane, WeightVersion};
use proto::microbatch::Phase;

use super::*;
use crate::pipeline::tests::small_shapes;
use crate::pipeline::{Schedule, Shape, lanes};

const UNIT: StageCost = StageCost { forward: 1.0, error: 1.0, gradient: 1.0, update: 0.0 };

fn lane(drawing: &str) -> Lane {
    let actions = drawing.split(' ').map(|word| word.parse().unwrap()).collect();
    Lane::new(Phase::Train, WeightVersion::OfForward, actions).unwrap()
}

fn starts(timeline: &Timeline, stage: usize) -> Vec<f64> {
    timeline.stages()[stage].iter().map(|timed| timed.start).collect()
}

#[test]
fn links_and_loss_delay_what_waits_for_them() {
    let lanes = [lane("F0 E0 G0 U"), lane("F0 E0 G0 U")];
    let link = LinkCost { latency: 10.0, ..LinkCost::default() };
    let stage = StageCost { forward: 1.0, error: 2.0, gradient: 3.0, update: 4.0 };
    let timeline = predict(&lanes, &Costs::uniform(2, stage, link, 100.0)).unwrap();
    // At stage 1 the input crosses two links and F@0; then F, two links and the loss come before E.
    assert_eq!(starts(&timeline, 1), [21.0, 142.0, 144.0, 147.0]);
    assert_eq!(starts(&timeline, 0), [10.0, 154.0, 156.0, 159.0]);
    assert_eq!(timeline.makespan(), 163.0);
    assert_eq!(timeline.busy(), [10.0, 10.0]);
    assert_eq!(timeline.idle(), [153.0, 153.0]);
    assert_eq!(timeline.bubble(), 1.0 - 20.0 / 326.0);
}

#[test]
fn messages_of_one_direction_queue_for_the_link_and_losses_for_the_coordinator() {
    let lanes = [lane("F0 F1 E0 G0 E1 G1 U")];
    let link = |forward, error| LinkCost { forward, error, ..LinkCost::default() };
    let costs = |top, loss| Costs { stages: vec![UNIT], links: vec![link(0.0, 0.0), top], loss };
    let second_error = |top, loss| starts(&predict(&lanes, &costs(top, loss)).unwrap(), 0)[4];
    assert_eq!(second_error(link(5.0, 0.0), 0.0), 11.0);
    assert_eq!(second_error(link(0.0, 5.0), 0.0), 11.0);
    assert_eq!(second_error(link(0.0, 0.0), 5.0), 11.0);
}

/// GPipe's known bubble: n stages of equal work fill and drain in n − 1 turns of F and of E. The G after the last E
/// is the only work for which no stage waits.
#[test]
fn the_bubble_of_gpipe_is_the_known_one() {
    let shape = Shape::new(4, 8, 1).unwrap();
    let costs = Costs::uniform(4, UNIT, LinkCost::default(), 0.0);
    let timeline = predict(&lanes(Schedule::Gpipe, shape), &costs).unwrap();
    assert_eq!(timeline.makespan(), (8 * 3 + 3 * 2) as f64);
    assert!((timeline.bubble() - 6.0 / 30.0).abs() < 1e-12);
}

/// The purpose of `ahead`: without it the last stage idles through every round trip to the loss task.
#[test]
fn counting_the_coordinator_as_a_stage_hides_the_round_trip_of_the_loss() {
    let costs = Costs::uniform(3, UNIT, LinkCost { latency: 0.25, ..LinkCost::default() }, 0.5);
    let idle_at_the_top = |ahead| {
        let lanes = lanes(Schedule::OneFOneB, Shape::new(3, 16, ahead).unwrap());
        predict(&lanes, &costs).unwrap().idle()[2]
    };
    assert!(idle_at_the_top(0) - idle_at_the_top(1) >= 15.0);
}

#[test]
fn no_lane_that_a_schedule_writes_deadlocks() {
    for (schedule, shape) in small_shapes() {
        let costs = Costs::uniform(shape.stages() as usize, UNIT, LinkCost::default(), 0.0);
        let timeline = predict(&lanes(schedule, shape), &costs).unwrap();
        assert!((0.0..1.0).contains(&timeline.bubble()), "{schedule} {shape:?}");
    }
}

#[test]
fn lanes_that_wait_for_each_other_are_an_error_that_names_the_stages() {
    let lanes = [lane("F0 E0 G0 F1 E1 G1 U"), lane("F0 F1 E0 G0 E1 G1 U")];
    let error = predict(&lanes, &Costs::uniform(2, UNIT, LinkCost::default(), 0.0)).unwrap_err();
    assert_eq!(error.to_string(), "these lanes deadlock: stage 0 waits at E0, stage 1 waits at F1");
}

#[test]
fn costs_of_another_pipeline_and_costs_that_are_no_time_are_refused() {
    let lanes = [lane("F0 E0 G0 U")];
    let refusal = |costs: &Costs| predict(&lanes, costs).unwrap_err().to_string();
    let sizes = "1 lanes need costs of as many stages and of one link more, not of 2 and 3";
    assert_eq!(refusal(&Costs::uniform(2, UNIT, LinkCost::default(), 0.0)), sizes);
    for loss in [-1.0, f64::NAN, f64::INFINITY] {
        let costs = Costs::uniform(1, UNIT, LinkCost::default(), loss);
        assert_eq!(refusal(&costs), "every cost is a finite number of seconds, at least 0");
    }
}

#[test]
fn steps_of_a_lane_follow_each_other() {
    let two = lane("F1.0 E1.0 G1.0 U1 F2.0 E2.0 G2.0 U2");
    let timeline = predict(&[two], &Costs::uniform(1, UNIT, LinkCost::default(), 0.0)).unwrap();
    assert_eq!(timeline.makespan(), 6.0);
}

/// The inputs of the next step cross the network while this one computes; logits and errors do not.
#[test]
fn in_its_stride_a_pipeline_does_not_wait_for_inputs() {
    let costs = Costs::uniform(1, UNIT, LinkCost { latency: 10.0, ..LinkCost::default() }, 0.0);
    let lanes = [lane("F0 E0 G0 U")];
    assert_eq!(predict(&lanes, &costs).unwrap().makespan(), 33.0);
    let pace = pace(&lanes, &costs).unwrap();
    assert_eq!((pace.step, pace.busy.as_slice()), (23.0, &[3.0][..]));
    assert_eq!(pace.bubble(), 1.0 - 3.0 / 23.0);
}

/// Where the first link is slow, inputs decide the pace.
#[test]
fn in_its_stride_a_pipeline_is_as_fast_as_its_slowest_link() {
    let input = LinkCost { forward: 30.0, ..LinkCost::default() };
    let costs = Costs { stages: vec![UNIT], links: vec![input, LinkCost::default()], loss: 0.0 };
    assert_eq!(pace(&[lane("F0 E0 G0 U")], &costs).unwrap().step, 30.0);
}

/// An evaluation is forwards alone: nothing waits for the loss.
#[test]
fn an_evaluation_flows_through() {
    let costs = Costs::uniform(2, UNIT, LinkCost::default(), 100.0);
    let timeline = predict(&[Lane::evaluate(4), Lane::evaluate(4)], &costs).unwrap();
    assert_eq!(timeline.makespan(), 5.0);
}

#[test]
fn nothing_takes_no_time() {
    let costs = Costs::uniform(0, UNIT, LinkCost::default(), 0.0);
    assert_eq!(predict(&[], &costs).unwrap().bubble(), 0.0);
}
