//! Tests of predictions against small pipelines that were worked out by hand, and against closed forms.

use proto::lane::{Lane, WeightVersion};
use proto::microbatch::Phase;

use super::*;
use crate::pipeline::tests::small_shapes;
use crate::pipeline::{Schedule, Shape, lanes};

const UNIT: StageCost =
    StageCost { forward: 1.0, error: 1.0, gradient: 1.0, update: 0.0, follow: 0.0, followers: 0 };

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
    let stage = StageCost { forward: 1.0, error: 2.0, gradient: 3.0, update: 4.0, ..StageCost::default() };
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
    let costs = |top, loss| Costs {
        links: vec![link(0.0, 0.0), top],
        loss,
        ..Costs::uniform(1, UNIT, link(0.0, 0.0), 0.0)
    };
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

/// The known bubbles of 1F1B and ZB-H1, where the last stage turns its own logits into errors at once: `ahead` 0 and a loss
/// of no time.
#[test]
fn zero_bubble_has_half_the_bubble_of_one_f_one_b() {
    for (stages, one, zero) in
        [(2, 2.0 / 26.0, 1.0 / 25.0), (4, 6.0 / 30.0, 3.0 / 27.0), (8, 14.0 / 38.0, 7.0 / 31.0)]
    {
        let costs = Costs::uniform(stages, UNIT, LinkCost::default(), 0.0);
        let bubbles = |schedule| {
            let lanes = lanes(schedule, Shape::new(stages as u32, 8, 0).unwrap());
            let (alone, pace) = (predict(&lanes, &costs).unwrap(), pace(&lanes, &costs).unwrap());
            assert!(
                (alone.bubble() - pace.bubble()).abs() < 1e-12,
                "steps that follow each other have it too"
            );
            alone.bubble()
        };
        assert!((bubbles(Schedule::OneFOneB) - one).abs() < 1e-12, "{stages} stages");
        assert!((bubbles(Schedule::ZeroBubble) - zero).abs() < 1e-12, "{stages} stages");
    }
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
    let costs = Costs { links: vec![input, LinkCost::default()], ..Costs::uniform(1, UNIT, input, 0.0) };
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

/// A stage with these split layers, over links that take no time but the latency.
fn halved(layers: &[SplitCost], latency: f64) -> Costs {
    let half = BackwardCost { layers: layers.to_vec(), latency, ..BackwardCost::default() };
    Costs { backward: vec![Some(half)], ..Costs::uniform(1, UNIT, LinkCost::default(), 0.0) }
}

/// E asks for the upper layer first, and goes on once the answer is there.
#[test]
fn a_stage_waits_for_a_round_trip_per_split_layer() {
    let lower =
        SplitCost { request: Some(0.0), error: 2.0, reply: Some(0.0), after: 3.0, ..SplitCost::default() };
    let upper = SplitCost { error: 5.0, after: 7.0, ..lower };
    let lanes = [lane("F0 E0 G0 U")];
    let timeline = predict(&lanes, &halved(&[lower, upper], 10.0)).unwrap();
    // E computes 1, asks, waits 10 + 5 + 10, computes 7, asks, waits 10 + 2 + 10, computes 3.
    let error = timeline.stages()[0][1];
    assert_eq!((error.start, error.end, error.computing), (1.0, 1.0 + 1.0 + 25.0 + 7.0 + 22.0 + 3.0, 11.0));
    let (stage, backward) = &timeline.backward()[0];
    // The first error arrives at 12 and is answered at 17; the answer is back at 27, and the second error goes out at 34.
    assert_eq!((*stage, backward[1].start, backward[1].end, backward[1].computing), (0, 12.0, 46.0, 7.0));
    let pace = pace(&lanes, &halved(&[lower, upper], 10.0)).unwrap();
    assert_eq!((pace.asking.as_slice(), pace.busy.as_slice()), (&[47.0][..], &[13.0][..]));
    assert_eq!(pace.backward, [(0, 7.0)]);
}

/// A layer above the network's input asks and waits for nothing.
#[test]
fn a_layer_without_a_reply_does_not_hold_up_its_stage() {
    let bottom = SplitCost { request: Some(0.0), error: 2.0, after: 3.0, ..SplitCost::default() };
    let timeline = predict(&[lane("F0 E0 G0 U")], &halved(&[bottom], 10.0)).unwrap();
    assert_eq!(timeline.stages()[0][1].end, 5.0);
    assert_eq!(timeline.backward()[0].1[1].end, 14.0);
}

/// Both halves compute their G at once; a longer G of the backward node keeps the next E waiting.
#[test]
fn the_gradients_of_both_halves_are_computed_at_once() {
    let layer = SplitCost { request: Some(0.0), reply: Some(0.0), ..SplitCost::default() };
    let makespan = |gradient| {
        let mut costs = halved(&[layer], 0.0);
        costs.backward[0].as_mut().unwrap().gradient = gradient;
        predict(&[lane("F0 F1 E0 G0 E1 G1 U")], &costs).unwrap().makespan()
    };
    // F0 F1 E0 G0 E1 G1 take 1 each.
    assert_eq!([0.0, 1.0].map(makespan), [6.0, 6.0]);
    // E0 ends at 3, the backward node's G0 at 13; E1 asks at 5, and both G1 follow its answer.
    assert_eq!(makespan(10.0), 13.0 + 10.0);
}

/// Samples and activations leave the stage at once and share its link; recomputed samples leave it in E.
#[test]
fn samples_take_their_share_of_the_link() {
    let layer = SplitCost { sample: Some(5.0), ..SplitCost::default() };
    let starts_of_error = |recompute| {
        let mut costs = halved(&[layer], 0.0);
        costs.links[1].forward = 5.0;
        costs.backward[0].as_mut().unwrap().recompute = recompute;
        starts(&predict(&[lane("F0 E0 G0 U")], &costs).unwrap(), 0)[1]
    };
    assert_eq!([false, true].map(starts_of_error), [11.0, 6.0]);
}

#[test]
fn noise_is_waited_for_in_u_and_costs_of_halves_are_checked() {
    let layer = SplitCost { noise: Some(1.0), ..SplitCost::default() };
    let costs = halved(&[layer], 10.0);
    let timeline = predict(&[lane("F0 E0 G0 U")], &costs).unwrap();
    assert_eq!(timeline.backward()[0].1[3].end, 3.0 + 1.0 + 10.0);
    let refusal = |costs: &Costs| predict(&[lane("F0 E0 G0 U")], costs).unwrap_err();
    let broken = halved(&[SplitCost { reply: Some(f64::NAN), ..layer }], 10.0);
    assert_eq!(refusal(&broken), TimingError::Cost);
    let two = Costs { backward: vec![None, None], ..costs };
    assert!(matches!(refusal(&two), TimingError::Sizes { .. }));
}

/// Two stages on one core take turns; the third core has nothing to do.
#[test]
fn nodes_that_share_cores_compute_as_many_at_once_as_there_are_cores() {
    let lanes = lanes(Schedule::OneFOneB, Shape::new(3, 8, 1).unwrap());
    let free = Costs::uniform(3, UNIT, LinkCost::default(), 0.0);
    let step = |at_once| pace(&lanes, &Costs { at_once, ..free.clone() }).unwrap().step;
    assert_eq!(step(Some(1)), (3 * 8 * 3) as f64);
    assert_eq!(step(Some(3)), step(None));
    assert!((36.0..step(Some(1))).contains(&step(Some(2))), "{}", step(Some(2)));
}
