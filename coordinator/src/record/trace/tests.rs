//! Tests of the trace: names of rows, fields of events, and the order of a message's events.

use super::*;
use crate::driver::{OwnWork, TaskSpan};
use crate::record::timeline::Keeper;
use proto::control::Span;
use proto::microbatch::Phase;
use proto::timeline::{Exchange, Timeline};
use serde_json::{Value, json};

fn outcome(step: u64, stages: Vec<StepDone>, backward: Vec<(u32, StepDone)>) -> Outcome {
    Outcome {
        step,
        phase: Phase::Train,
        epoch: 0,
        samples: 4,
        loss: 0.25,
        top1: 0.5,
        top5: 1.0,
        guesses: Vec::new(),
        stages,
        backward,
        own: None,
    }
}

#[test]
fn every_row_is_named_once() {
    let done = || StepDone::nothing(Phase::Train);
    let mut trace = Trace::default();
    trace.add(&outcome(1, vec![done(), done()], vec![(1, done())]), None);
    trace.add(&outcome(2, vec![done(), done()], vec![(1, done())]), None);
    let name = |name: &str, pid: u32, tid: u32, of: &str| json!({"name": name, "ph": "M", "pid": pid, "tid": tid, "args": {"name": of}});
    let due: Vec<Value> = vec![
        name("process_name", 1, 1, "stage 0"),
        name("thread_name", 1, 1, "stage 0"),
        name("process_name", 2, 3, "stage 1"),
        name("thread_name", 2, 3, "stage 1"),
        name("thread_name", 2, 4, "stage 1, backward"),
    ];
    assert_eq!(serde_json::to_value(&trace).unwrap(), json!({ "traceEvents": due }));
}

/// A step of one stage, whose clock is a second ahead, with one message from the coordinator and one back.
fn one_stage() -> Outcome {
    let second = 1_000_000_000;
    let of = |sent, carried, [start_ns, end_ns]: [u64; 2], transport_ns| Transfer {
        peer: Role::Stage(0),
        sent,
        carried,
        microbatch: 3,
        form: 0,
        bytes: 64,
        start_ns,
        end_ns,
        transport_ns,
    };
    let at_stage = |transfer: Transfer| Transfer {
        peer: Role::Coordinator,
        start_ns: transfer.start_ns + second,
        end_ns: transfer.end_ns + second,
        transport_ns: transfer.transport_ns.map(|ns| ns + second),
        ..transfer
    };
    let transfers = vec![
        at_stage(of(false, Carried::Activations, [1500, 2500], Some(2400))),
        at_stage(of(true, Carried::ErrorSignals, [5000, 5100], Some(5050))),
    ];
    // The ways of the exchange are unequal, so that the estimate alone is wrong by a microsecond.
    let exchange =
        Exchange { asked_ns: 500, received_ns: 600 + second, answered_ns: 8000 + second, heard_ns: 10_100 };
    let spans = vec![Span::of("F3".parse().unwrap(), 2600 + second, 4900 + second)];
    let done = StepDone {
        spans,
        timeline: Some(Timeline { transfers, exchange }),
        ..StepDone::nothing(Phase::Train)
    };
    let own = OwnWork {
        tasks: vec![TaskSpan { task: Task::Load, microbatch: 3, start_ns: 900, end_ns: 1900 }],
        transfers: vec![
            of(true, Carried::Activations, [2000, 2100], None),
            of(false, Carried::ErrorSignals, [2000, 5200], None),
        ],
    };
    Outcome { own: Some(own), ..outcome(7, vec![done], Vec::new()) }
}

#[test]
fn every_field_is_documented_and_no_message_arrives_before_it_departs() {
    let (outcome, mut keeper, mut trace) = (one_stage(), Keeper::new(Some((2, 1))), Trace::default());
    let aligned = keeper.add(&outcome);
    trace.add(&outcome, aligned.as_ref());
    let found = json!(trace);
    crate::documented::holds("trace.json", std::slice::from_ref(&found));
    let events = found["traceEvents"].as_array().unwrap();
    let named = |name: &str| events.iter().find(|event| event["name"] == name).unwrap_or(&Value::Null);
    for name in [
        "F3",
        "load 3",
        "send activations 3",
        "wait activations 3",
        "send errors 3",
        "wait errors 3",
        "clock",
    ] {
        assert!(named(name)["ts"].is_number(), "{name} is missing: {found:#}");
    }
    for what in ["activations 3", "errors 3"] {
        let [send, receive] = ["send", "receive"].map(|word| named(&format!("{word} {what}")));
        assert!(receive["ts"].as_f64() >= send["ts"].as_f64(), "{send} {receive}");
        assert!(receive["dur"].as_f64() >= Some(0.0) && receive["args"]["bytes"] == 64);
    }
    let arrows = |end: &str| -> Vec<Value> {
        events.iter().filter(|event| event["ph"] == end).map(|event| event["id"].clone()).collect()
    };
    assert_eq!((arrows("s"), arrows("s").len()), (arrows("f"), 2), "{found:#}");
    let mut kept = keeper.chosen().unwrap().clone();
    assert_eq!(kept.lanes[1].offset_s.round(), -1.0);
    kept.lanes[1].others = vec![kept.lanes[1].actions[0].clone()];
    (kept.messages[0].form, kept.lanes[1].actions[0].backward) = (1, true);
    crate::documented::holds("timeline.json", &[json!(kept)]);
}

#[test]
fn messages_that_are_on_their_way_at_the_same_time_have_rows_of_their_own() {
    let mut trace = Trace::default();
    let row = Row::new(Role::Stage(3), Track::FromBelow);
    let ways = [[0.0, 5.0], [3.0, 8.0], [5.0, 6.0], [6.5, 7.0]];
    assert_eq!(ways.map(|way| trace.way(row, way).line), [0, 1, 0, 0]);
    let events = serde_json::to_value(&trace).unwrap();
    let names: Vec<_> =
        events["traceEvents"].as_array().unwrap().iter().map(|event| event["args"]["name"].clone()).collect();
    assert_eq!(names, ["stage 3: from below", "stage 3: from below 2"]);
    assert_ne!(trace.rows.first().unwrap().tid(), trace.rows.last().unwrap().tid());
}

#[test]
fn actions_of_two_steps_whose_clocks_differ_by_an_error_do_not_overlap() {
    let step = |step: u64, at: &[(&str, u64)]| {
        let span = |(word, start): &(&str, u64)| Span::of(word.parse().unwrap(), *start, *start + 1500);
        let done = StepDone { spans: at.iter().map(span).collect(), ..StepDone::nothing(Phase::Train) };
        outcome(step, vec![done], Vec::new())
    };
    let mut trace = Trace::default();
    trace.add(&step(1, &[("F0", 0), ("E0", 2000)]), None);
    trace.add(&step(2, &[("F0", 1000), ("E0", 3000)]), None);
    trace.settle();
    let found = serde_json::to_value(&trace).unwrap();
    let slices = found["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    let times: Vec<[f64; 2]> =
        slices.map(|slice| ["ts", "dur"].map(|key| slice[key].as_f64().unwrap())).collect();
    assert_eq!(times, [[0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [3.0, 1.5]]);
}
