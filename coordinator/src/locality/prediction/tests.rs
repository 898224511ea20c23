//! Tests of the prediction for the halves of a stage; the tests of the check cover the other predictions.

use super::super::fixtures::Run;
use super::super::words;
use super::*;
use proto::ledger::ControlMessage;
use proto::link::Role;

/// The records between the halves of `stage`: direction, form, tensors, messages, samples and payload.
fn halves(run: &Run, stage: u32) -> Vec<String> {
    let backward = Role::Backward(stage);
    let of = |link: &&LinkRecord| link.from == backward || link.to == backward;
    let words = |link: &LinkRecord| {
        let way = if link.to == backward { "to" } else { "from" };
        let LinkRecord { form, messages, samples, payload, .. } = link;
        format!("{way} {form}: {}; {messages} of {samples}, {payload}", words::tensors(link))
    };
    run.prediction.links.iter().filter(of).map(words).collect()
}

#[test]
fn samples_and_errors_cross_in_each_training_microbatch() {
    // Three steps of eight, eight and four samples, in three microbatches each.
    let run = Run::split(&["name=kolen_pollack"], 0);
    let payload = 20 * 32 * 4;
    assert_eq!(
        halves(&run, 0),
        [
            format!("to 0: a.x 2×4×4; 9 of 20, {payload}"),
            format!("to 1: a.error 2×4×4; 9 of 20, {payload}"),
            format!("from 0: a.x 2×4×4; 9 of 20, {payload}"),
        ]
    );
    assert_eq!(halves(&run, 1)[1], format!("to 1: classes.error 10; 9 of 20, {}", 20 * 10 * 4));
    assert_eq!(halves(&Run::of("kolen_pollack"), 0), [""; 0], "nothing is split");
    assert_eq!(
        halves(&Run::split(&["name=feedback_alignment"], 0), 0),
        [
            format!("to 0: a.error 2×4×4; 9 of 20, {payload}"),
            format!("from 0: a.x 2×4×4; 9 of 20, {payload}")
        ]
    );
}

#[test]
fn noise_crosses_in_each_mirror_step_of_the_delay_phase_and_after_every_so_many_updates() {
    let rule = ["name=weight_mirror", "mirror_every=2", "mirror_delay=25", "noise_batch=5"];
    // The course has a longer delay than the rule: other layers may have more mirror steps.
    let run = Run::split(&rule, 31);
    let noise = |messages| {
        let (samples, payload) = (5 * messages, 5 * messages * 64 * 4);
        format!("to 1: a.noise 2×4×4, a.noise.y 2×4×4; {messages} of {samples}, {payload}")
    };
    assert_eq!(halves(&run, 0)[1], noise(25 + 1));
    assert_eq!(halves(&Run::split(&rule, 0), 0)[1], noise(1));
    assert_eq!(
        halves(&Run::split(&["name=weight_mirror", "mirror_every=4"], 0), 0).len(),
        2,
        "no mirror step"
    );
}

#[test]
fn a_backward_node_trains_writes_and_aligns_and_evaluates_nothing() {
    let run = Run::split(&["name=weight_mirror", "mirror_delay=25"], 25);
    let messages = |node: Role, message: ControlMessage| {
        let of = |budget: &&Budget| [budget.from, budget.to].contains(&node) && budget.message == message;
        run.prediction.control.iter().find(of).map(|budget| (budget.messages, budget.bytes))
    };
    let count = |node, message| messages(node, message).map_or(0, |(messages, _)| messages);
    let [stage, backward] = [Role::Stage(0), Role::Backward(0)];
    for (message, of_stage, of_backward) in [
        (ControlMessage::Describe, 1, 1),
        (ControlMessage::Configure, 1, 1),
        (ControlMessage::Started, 1, 1),
        (ControlMessage::Lane, 5, 3),
        (ControlMessage::Step, 5, 3),
        (ControlMessage::Align, 2, 2),
        (ControlMessage::Aligned, 2, 2),
        (ControlMessage::Snapshot, count(stage, ControlMessage::Snapshot), 1),
        (ControlMessage::Audit, 1, 1),
        (ControlMessage::Ledger, 1, 1),
    ] {
        assert_eq!((count(stage, message), count(backward, message)), (of_stage, of_backward), "{message:?}");
    }
    // The specification of the backward half says so in one field.
    let bytes = |node| messages(node, ControlMessage::Configure).unwrap().1;
    assert_eq!(bytes(stage), bytes(backward));
    let roles: Vec<Role> = run.prediction.control.iter().map(|budget| budget.from.max(budget.to)).collect();
    assert!(roles.is_sorted(), "stages come before backward nodes: {roles:?}");
}
