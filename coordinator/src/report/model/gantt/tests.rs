//! Tests of the chart, over a step that the simulation computed.

use super::*;
use crate::pipeline::timing::{Costs, LinkCost, StageCost, Timed, pace, predict};
use crate::pipeline::{Schedule, Shape, lanes};
use crate::record::{ActionTime, TaskTime};
use crate::report::render;
use proto::lane::Lane;

/// A step of so many stages that take a second for each of F, E and G, or twice as long at stage `slow`; with the costs and
/// the lanes.
fn step(stages: u32, microbatches: u32, slow: Option<usize>) -> (StepTimeline, Costs, Vec<Lane>) {
    let lanes = lanes(Schedule::OneFOneB, Shape::new(stages, microbatches, 1).unwrap());
    let cost = StageCost { forward: 1.0, error: 1.0, gradient: 1.0, update: 0.5, ..StageCost::default() };
    let mut costs = Costs::uniform(stages as usize, cost, LinkCost::default(), 0.0);
    if let Some(slow) = slow {
        costs.stages[slow] =
            StageCost { forward: 2.0, error: 2.0, gradient: 2.0, update: 1.0, ..StageCost::default() };
    }
    let found = predict(&lanes, &costs).unwrap();
    let lane = |of, actions, tasks| ProcessLane {
        of,
        offset_s: 0.0,
        uncertainty_s: 0.0,
        actions,
        others: Vec::new(),
        tasks,
    };
    let loss = TaskTime { task: Task::Loss, microbatch: 0, start_s: 1.0, end_s: 1.0 };
    let own = lane(Role::Coordinator, Vec::new(), vec![loss]);
    let action = |timed: &Timed| {
        let (start_s, end_s) = (timed.start, timed.end);
        ActionTime { action: timed.action.to_string(), backward: false, start_s, end_s }
    };
    let stage = |(stage, timed): (u32, &Vec<Timed>)| {
        lane(Role::Stage(stage), timed.iter().map(action).collect(), Vec::new())
    };
    let timeline = StepTimeline {
        step: 1234,
        seconds: found.makespan(),
        cores: None,
        threads: None,
        lanes: [own].into_iter().chain((0..).zip(found.stages()).map(stage)).collect(),
        messages: Vec::new(),
    };
    assert!((timeline.bubble() - found.bubble()).abs() < 1e-9);
    (timeline, costs, lanes)
}

fn run(timeline: StepTimeline) -> Run {
    Run { timeline: Some(timeline), ..Run::default() }
}

#[test]
fn the_prediction_of_a_step_has_the_costs_of_its_actions() {
    for (stages, microbatches, slow) in [(1, 4, None), (2, 8, None), (4, 8, Some(2)), (8, 8, None)] {
        let (timeline, costs, lanes) = step(stages, microbatches, slow);
        let due = pace(&lanes, &costs).unwrap();
        let found = predicted(&timeline, None).unwrap();
        assert!((found.step - due.step).abs() < 1e-9 && (found.bubble() - due.bubble()).abs() < 1e-9);
    }
    let (mut split, ..) = step(2, 4, None);
    split.lanes[2].of = Role::Backward(0);
    assert!(predicted(&split, None).is_none());
    let (mut torn, ..) = step(2, 4, None);
    torn.lanes[1].actions.pop();
    assert!(predicted(&torn, None).is_none(), "a lane without its U");
}

#[test]
fn the_chart_has_a_row_for_each_process_and_says_what_holds_the_others_up() {
    let (timeline, ..) = step(4, 8, Some(2));
    let chart = Gantt::of(&run(timeline.clone())).unwrap();
    let names: Vec<&str> = chart.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["data", "0", "1", "2", "3", "loss"]);
    assert!(chart.bottleneck.starts_with("Stage 2 is the bottleneck: it computes "), "{}", chart.bottleneck);
    for row in &chart.rows[1..5] {
        assert_eq!(row.pieces.len(), 3 * 8 + 1);
        let within = |piece: &Piece| piece.left >= 0.0 && piece.left + piece.width < 100.0 + 1e-6;
        assert!(row.pieces.iter().all(within));
    }
    let page = render(&run(timeline));
    assert!(page.contains("Step 1,234 took ") && page.contains("class=\"forward\" style=\"left:"));
    assert!(!render(&Run::default()).contains("One step"), "an earlier release kept no step");
}

#[test]
fn a_wide_pipeline_has_low_rows_and_a_long_row_is_drawn_in_few_pieces() {
    let chart = Gantt::of(&run(step(64, 8, None).0)).unwrap();
    assert!(chart.many && chart.rows.len() == 66);
    let chart = Gantt::of(&run(step(1, 2000, None).0)).unwrap();
    let pieces = chart.rows[1].pieces.len();
    assert!((PIECES / 2..=3 * PIECES).contains(&pieces), "{pieces} of 6001");
}

#[test]
fn words_of_a_damaged_record_stay_within_their_place() {
    let (mut timeline, ..) = step(1, 2, None);
    timeline.lanes[1].actions[0].action = "F<img src=x>".into();
    (timeline.lanes[1].actions[1].start_s, timeline.lanes[1].actions[1].end_s) = (f64::NAN, f64::INFINITY);
    let page = render(&run(timeline));
    assert!(!page.contains("<img") && page.contains("class=\"gantt"));
}
