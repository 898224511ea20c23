//! `trace.json`: the time of every action of every stage, in the format of Chrome's trace viewer and Perfetto. Each
//! stage has a named row, and its backward node a row of its own below it. Times are those of the nodes' own clocks.

use crate::driver::Outcome;
use crate::record::label;
use proto::spec::stage::Half;
use serde::Serialize;
use std::collections::BTreeSet;

/// The most events that are kept: viewers handle no more with ease, and the events stay in memory until the end.
const MOST: usize = 1_000_000;

/// The first events of a run.
#[derive(Debug, Default, Serialize)]
pub struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    /// The rows that have events: each stage, and 0 for the stage itself or 1 for its backward node.
    #[serde(skip)]
    rows: BTreeSet<(usize, u8)>,
    /// The last step that the trace holds whole, once there were too many events.
    #[serde(skip)]
    full_after: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Event {
    Name(Name),
    Action(Action),
}

/// A metadata event ("M"): the name of a stage's rows together, or of one row.
#[derive(Debug, Serialize)]
struct Name {
    name: &'static str,
    ph: &'static str,
    pid: usize,
    tid: u8,
    args: NameArgs,
}

#[derive(Debug, Serialize)]
struct NameArgs {
    name: String,
}

/// A complete event ("X"): one action.
#[derive(Debug, Serialize)]
struct Action {
    name: String,
    cat: String,
    ph: &'static str,
    /// The start, in microseconds since the Unix epoch.
    ts: f64,
    /// The duration, in microseconds.
    dur: f64,
    /// The stage.
    pid: usize,
    /// 0 for the stage itself, 1 for its backward node.
    tid: u8,
    args: ActionArgs,
}

#[derive(Debug, Serialize)]
struct ActionArgs {
    step: u64,
}

impl Trace {
    /// The last step that the trace holds whole, if later steps had no room.
    pub fn full_after(&self) -> Option<u64> {
        self.full_after
    }

    /// Adds every action of a minibatch, as long as there is room.
    pub fn add(&mut self, outcome: &Outcome) {
        if self.events.len() >= MOST {
            self.full_after.get_or_insert(outcome.step.saturating_sub(1));
            return;
        }
        let stages = outcome.stages.iter().enumerate().map(|(stage, done)| (stage, 0, done));
        let backward = outcome.backward.iter().map(|(stage, done)| (*stage as usize, 1, done));
        for (pid, tid, done) in stages.chain(backward) {
            if self.rows.insert((pid, tid)) {
                self.events.extend(names(pid, tid).map(Event::Name));
            }
            self.events.extend(done.spans.iter().map(|span| {
                Event::Action(Action {
                    name: span.action.to_string(),
                    cat: outcome.phase.to_string(),
                    ph: "X",
                    ts: span.start_ns as f64 / 1e3,
                    dur: span.end_ns.saturating_sub(span.start_ns) as f64 / 1e3,
                    pid,
                    tid,
                    args: ActionArgs { step: outcome.step },
                })
            }));
        }
    }
}

/// The names of a new row, and of its stage where the row is the stage itself.
fn names(pid: usize, tid: u8) -> impl Iterator<Item = Name> {
    let half = if tid == 0 { Half::Forward } else { Half::Backward };
    let event = move |name, of| {
        let args = NameArgs { name: format!("stage {}", label(pid, of)) };
        Name { name, ph: "M", pid, tid, args }
    };
    let process = (tid == 0).then(|| event("process_name", Half::Forward));
    process.into_iter().chain([event("thread_name", half)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::StepDone;
    use proto::microbatch::Phase;
    use serde_json::{Value, json};

    #[test]
    fn every_row_is_named_once() {
        let done = || StepDone::nothing(Phase::Train);
        let outcome = |step, backward| Outcome {
            step,
            phase: Phase::Train,
            epoch: 0,
            samples: 4,
            loss: 0.25,
            top1: 0.5,
            top5: 1.0,
            guesses: Vec::new(),
            stages: vec![done(), done()],
            backward,
        };
        let mut trace = Trace::default();
        trace.add(&outcome(1, vec![(1, done())]));
        trace.add(&outcome(2, vec![(1, done())]));
        let name = |name: &str, pid: u32, tid: u32, of: &str| json!({"name": name, "ph": "M", "pid": pid, "tid": tid, "args": {"name": of}});
        let due: Vec<Value> = vec![
            name("process_name", 0, 0, "stage 0"),
            name("thread_name", 0, 0, "stage 0"),
            name("process_name", 1, 0, "stage 1"),
            name("thread_name", 1, 0, "stage 1"),
            name("thread_name", 1, 1, "stage 1, backward"),
        ];
        assert_eq!(serde_json::to_value(&trace).unwrap(), json!({ "traceEvents": due }));
    }
}
