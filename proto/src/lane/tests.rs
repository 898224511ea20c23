//! Tests of lanes by drawings: lists that are lanes, and lists that are refused.

use super::*;

fn lane(phase: Phase, drawing: &str) -> Result<Lane, LaneError> {
    let actions: Result<Vec<_>, _> = drawing.split_whitespace().map(str::parse).collect();
    Lane::new(phase, WeightVersion::OfForward, actions?)
}

fn refusal(drawing: &str) -> String {
    lane(Phase::Train, drawing).expect_err(drawing).to_string()
}

#[test]
fn a_lane_prints_as_it_was_drawn() {
    let drawing = "F0 F1 E0 G0 E1 G1 U";
    assert_eq!(lane(Phase::Train, drawing).unwrap().to_string(), drawing);
    assert_eq!(lane(Phase::Train, drawing).unwrap().held(), 2);
    assert_eq!(Lane::evaluate(3), lane(Phase::Evaluate, "F0 F1 F2").unwrap());
    for (phase, drawing) in [
        (Phase::Train, "F7.0 E7.0 G7.0 U7 F8.0 F8.1 E8.0 G8.0 E8.1 G8.1 U8"),
        (Phase::Evaluate, "F7.0 F8.0 F8.1"),
    ] {
        let lane = lane(phase, drawing).unwrap();
        assert_eq!(lane.to_string(), drawing);
        assert_eq!((lane.first(), lane.microbatches()), (7, &[1, 2][..]));
    }
}

#[test]
fn what_is_no_lane_is_refused() {
    for bad in [
        "",
        "U",
        "F0",
        "F0 E0 G0",
        "E0 F0 G0 U",
        "F0 G0 E0 U",
        "F0 F0 E0 G0 U",
        "F1 E1 G1 U",
        "F0 E0 U G0",
        "U F0 E0 G0 U",
        "F0 E0 G0 U U",
        "F0 E0 G0 U F1 E1 G1 U",
        "X0",
        "F-1",
        "F",
        "U0",
        "F1.0 E1.0 G1.0 U2",
        "F1.0 E1.0 G1.0 U1 F3.0 E3.0 G3.0 U3",
        "F2.0 E2.0 G2.0 U2 F1.0 E1.0 G1.0 U1",
        "F1.0 E1.0 G1.0 U1 F2.0 E2.0 G2.0",
        "F1.0 E1.0 G1.0 F2.0 E2.0 G2.0 U2",
        "F1.0 E1.0 G1.0 U1 F2.1 E2.1 G2.1 U2",
        "F18446744073709551615.0 E18446744073709551615.0 G18446744073709551615.0 U0",
        "é",
    ] {
        assert!(lane(Phase::Train, bad).is_err(), "{bad}");
    }
    for bad in ["", "F0 E0", "F0 U", "F1", "F1.0 F3.0", "F1.0 F2.0 U1 U2"] {
        assert!(lane(Phase::Evaluate, bad).is_err(), "{bad}");
    }
}

/// A gradient that precedes the update of the previous step would become part of that update.
#[test]
fn what_sees_other_weights_than_its_forward_is_refused() {
    let stale = refusal("F1.0 F2.0 E1.0 G1.0 U1 E2.0 G2.0 U2");
    assert!(stale.starts_with("action 5 of the lane, E2.0, would see other weights than its F"), "{stale}");
    let stale = refusal("F1.0 F2.0 E1.0 G1.0 E2.0 U1 G2.0 U2");
    assert!(stale.starts_with("action 6 of the lane, G2.0, would see other weights than its F"), "{stale}");
    let early = refusal("F1.0 F2.0 E1.0 G1.0 E2.0 G2.0 U1 U2");
    assert!(early.starts_with("action 5 of the lane, G2.0, is doubled or out of order"), "{early}");
}

#[test]
fn a_lane_moves_to_any_step() {
    let drawing = "F7.0 E7.0 G7.0 U7 F8.0 F8.1 E8.0 G8.0 E8.1 G8.1 U8";
    let moved = lane(Phase::Train, drawing).unwrap().starting_at(41);
    assert_eq!(moved.to_string(), drawing.replace('7', "41").replace("8.", "42.").replace("U8", "U42"));
    assert_eq!(lane(Phase::Train, &moved.to_string()).unwrap(), moved);
    let last = lane(Phase::Train, "F0 E0 G0 U").unwrap().starting_at(u64::MAX);
    assert_eq!(Lane::new(Phase::Train, last.version(), last.actions().into()), Ok(last.clone()));
    assert_eq!(last.to_string(), "F0 E0 G0 U");
}

#[test]
fn the_longest_lane_is_taken_and_a_longer_one_is_refused_in_a_sentence() {
    let all = || (0..MAX_MICROBATCHES).map(|index| MicrobatchId { step: 3, index });
    let lane = |actions: &[Action]| Lane::new(Phase::Train, WeightVersion::OfForward, actions.into());
    let mut actions: Vec<Action> = all().map(Action::Forward).collect();
    actions.extend(all().flat_map(|m| [Action::Error(m), Action::Gradient(m)]));
    let unfinished = lane(&actions).unwrap_err().to_string();
    assert!(unfinished.contains("F0 F1") && unfinished.len() < 300, "{unfinished}");
    actions.push(Action::Update(3));
    assert_eq!(actions.len(), MAX_ACTIONS);
    assert!(lane(&actions).is_ok());
    actions.push(Action::Update(3));
    let doubled = lane(&actions).unwrap_err().to_string();
    assert!(doubled.contains("is doubled or out of order"), "{doubled}");
    let next = MicrobatchId { step: 3, index: MAX_MICROBATCHES };
    actions.splice(MAX_MICROBATCHES as usize.., [Action::Forward(next)]);
    assert!(lane(&actions).unwrap_err().to_string().contains("cannot have so many microbatches"));
}

/// Warm-up 3, two microbatches a step: the lane of three steps, whole and in its three parts.
const PARTS: [&str; 3] = [
    "F7.0 F7.1 F8.0 E7.0 G7.0 F8.1 E7.1 G7.1 U7",
    "F9.0 E8.0 G8.0 F9.1 E8.1 G8.1 U8",
    "E9.0 G9.0 E9.1 G9.1 U9",
];

fn part(first: u64, microbatches: &[u32], before: u32, drawing: &str) -> Result<Lane, LaneError> {
    let actions: Result<Vec<_>, _> = drawing.split_whitespace().map(str::parse).collect();
    Lane::part(first, microbatches.to_vec(), before, actions?)
}

#[test]
fn an_asynchronous_lane_is_its_parts_and_each_goes_on_where_the_last_one_ended() {
    let drawing = PARTS.join(" ");
    let actions = drawing.split(' ').map(|action| action.parse().unwrap()).collect();
    let whole = Lane::new(Phase::Train, WeightVersion::Newest, actions).unwrap();
    assert_eq!((whole.microbatches(), whole.held(), whole.after()), (&[2, 2, 2][..], 3, 0));
    assert!(refusal(&drawing).contains("E8.0, would see other weights than its F"), "{}", refusal(&drawing));
    let parts = [part(7, &[2, 2], 0, PARTS[0]), part(8, &[2, 2], 2, PARTS[1]), part(9, &[2], 2, PARTS[2])];
    let parts = parts.map(Result::unwrap);
    assert_eq!(parts.each_ref().map(Lane::before), [0, 2, 2]);
    assert_eq!(parts.each_ref().map(Lane::after), [2, 2, 0]);
    assert_eq!(parts.each_ref().map(Lane::held), [3, 3, 2]);
    assert_eq!(parts[1].starting_at(20).to_string(), "F21.0 E20.0 G20.0 F21.1 E20.1 G20.1 U20");
    assert_eq!(parts[1].starting_at(20).before(), 2);
}

#[test]
fn what_is_no_part_of_a_lane_is_refused() {
    let [first, second, last] = PARTS;
    for (at, microbatches, before, drawing) in [
        (7, &[2, 2][..], 1, first),
        (8, &[2, 2], 1, second),
        (8, &[2, 2], 3, second),
        (8, &[2, 2], 5, second),
        (8, &[2], 2, second),
        (8, &[2, 2, 2], 2, second),
        (9, &[3], 2, last),
        (9, &[2], 2, "E9.0 G9.0 E9.1 G9.1"),
        (9, &[2, 1], 2, "E9.0 G9.0 E9.1 G9.1 U9 F10.0"),
        (9, &[], 0, ""),
        (9, &[0], 0, "U9"),
        (9, &[MAX_MICROBATCHES + 1], 1, "E9.0 G9.0 U9"),
        (9, &[MAX_MICROBATCHES; 9], 1, "E9.0 G9.0 U9"),
        (u64::MAX, &[1, 1], 1, "E18446744073709551615.0 G18446744073709551615.0 U18446744073709551615"),
    ] {
        assert!(part(at, microbatches, before, drawing).is_err(), "{at} {microbatches:?} {before} {drawing}");
    }
}
