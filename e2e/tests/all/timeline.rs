//! Tests of timelines: sends, receives and waits of all processes fit together, and the report shows one step.

use e2e::{Bench, Run};
use serde_json::Value;
use std::collections::BTreeMap;

const KEYS: &str = r#"
[train]
epochs = 1
batch = 60
[rule]
name = "kolen_pollack"
[pipeline]
microbatches = 5
stages = "per_layer"
"#;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The slices of one kind, by step, name, receiver and sender: start and end in microseconds.
type Slices = BTreeMap<(u64, String, u64, String), [f64; 2]>;

/// The slices of `trace.json` in training whose category has the word `kind`.
fn slices(events: &[Value], kind: &str) -> Slices {
    let of_kind = events.iter().filter(|event| event["cat"] == format!("train,{kind}"));
    let slice = |event: &Value| {
        let name = event["name"].as_str().unwrap().split_once(' ').unwrap().1.to_owned();
        let peer = event["args"]["peer"].as_str().unwrap().to_owned();
        let (start, duration) = (number(&event["ts"]), number(&event["dur"]));
        let key = (event["args"]["step"].as_u64().unwrap(), name, event["pid"].as_u64().unwrap(), peer);
        (key, [start, start + duration])
    };
    of_kind.map(slice).collect()
}

/// The process of a role.
fn process(role: &str) -> u64 {
    let stage = role.trim_start_matches("stage ").trim_end_matches(", backward");
    stage.parse::<u64>().map_or(1_000_000, |stage| stage + 1)
}

#[test]
fn every_receive_has_a_send_before_it_and_a_wait_that_it_ends() {
    let bench = Bench::new();
    let run = bench.trained(&bench.config(KEYS), "traced", &[]);
    let trace = run.json("trace.json");
    let events = trace["traceEvents"].as_array().unwrap();
    let [sends, receives, waits] = ["send", "receive", "wait"].map(|kind| slices(events, kind));
    let (steps, stages, microbatches) = (run.steps() as u64, 5, 5);
    // Two directions of each link within the ring; the links to the coordinator come on top.
    let least = steps * microbatches * 2 * (stages - 1);
    assert!(receives.len() as u64 >= least && waits.len() >= receives.len(), "{} {least}", receives.len());
    // A wait ends when the message is there, within the microseconds by which the clocks are uncertain.
    for ((step, name, to, from), [start, end]) in &receives {
        let there = format!("{name} of step {step} from {from} to process {to}");
        let wait = waits.get(&(*step, name.clone(), *to, from.clone()));
        let [_, taken] = wait.unwrap_or_else(|| panic!("nobody waits for {there}"));
        assert!(end <= &(taken + 1.0), "{there} is taken at {taken}, and there at {end}");
        let of = |key: &&(u64, String, u64, String)| {
            (key.0, &key.1, key.2, process(&key.3)) == (*step, name, process(from), *to)
        };
        let sent = sends.keys().find(of).map(|key| sends[key]);
        let [begun, _] = sent.unwrap_or_else(|| panic!("nobody sends {there}"));
        assert!(
            begun <= *start && start <= end,
            "{there} is sent at {begun} and received from {start} to {end}"
        );
    }
    let arrows = |end: &str| events.iter().filter(|event| event["ph"] == end).count();
    assert_eq!(arrows("s"), arrows("f"));
    shows_one_step(&run, stages as usize);
}

#[test]
fn a_run_without_a_trace_keeps_one_step_and_a_split_stage_has_both_halves_in_it() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let more = ["--local", "--set", "pipeline.stages=2", "--set", "pipeline.placement=split"];
    let ended = bench.start("plain", &config, &more).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let run = bench.run("plain");
    assert!(!run.folder.join("trace.json").exists());
    let timeline = shows_one_step(&run, 2);
    let lanes = timeline["lanes"].as_array().unwrap();
    let of: Vec<&str> = lanes.iter().map(|lane| lane["of"].as_str().unwrap()).collect();
    assert_eq!(of, ["coordinator", "stage 0", "stage 0, backward", "stage 1", "stage 1, backward"]);
    let messages = timeline["messages"].as_array().unwrap();
    assert!(messages.iter().any(|message| message["carried"] == "layer_values"));
}

/// Checks the step that the run keeps, and that its report draws it.
fn shows_one_step(run: &Run, stages: usize) -> Value {
    let timeline = run.json("timeline.json");
    let seconds = number(&timeline["seconds"]);
    assert!(seconds > 0.0, "{timeline}");
    for message in timeline["messages"].as_array().unwrap() {
        let [left, came] = ["departed_s", "arrived_s"].map(|time| message[time].as_f64());
        assert!(left.zip(came).is_none_or(|(left, came)| left <= came), "{message}");
    }
    let page = std::fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains("class=\"gantt") && page.contains("Its bubble"), "the report has no chart");
    let rows = page.matches("class=\"lane\"").count();
    assert!(rows >= stages + 2, "{rows} rows");
    for kind in ["forward", "error-signal", "gradient", "update", "loss"] {
        assert!(page.contains(&format!("<i class=\"{kind}\" style")), "the chart has no {kind}");
    }
    let says = ["bottleneck", "holds the others up"].iter().any(|word| page.contains(word));
    assert!(says, "the page names no bottleneck");
    timeline
}
