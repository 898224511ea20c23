//! `trace.json`: the time of every action of every stage, in the format of Chrome's trace viewer and Perfetto. Each
//! stage is a named process with a named thread, and its backward node is a second thread of it. Times are those of the
//! nodes' own clocks.
//!
//! Numbers of processes and threads begin at 1, because viewers take 0 for the idle process and do not show its name.

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
    /// The rows that have events.
    #[serde(skip)]
    rows: BTreeSet<Row>,
    /// The last step that the trace holds whole, once there were too many events.
    #[serde(skip)]
    full_after: Option<u64>,
}

/// A row of the viewer: one half of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    stage: usize,
    backward: bool,
}

impl Row {
    /// The number of the stage's process.
    fn pid(self) -> usize {
        self.stage + 1
    }

    /// The number of the row's thread: no other row of any stage has it.
    fn tid(self) -> usize {
        2 * self.stage + 1 + usize::from(self.backward)
    }

    fn half(self) -> Half {
        if self.backward { Half::Backward } else { Half::Forward }
    }
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
    tid: usize,
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
    /// The stage, from 1.
    pid: usize,
    /// A number of the row's own.
    tid: usize,
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
        let stages = outcome.stages.iter().enumerate();
        let stages = stages.map(|(stage, done)| (Row { stage, backward: false }, done));
        let backward = outcome.backward.iter();
        let backward = backward.map(|(stage, done)| (Row { stage: *stage as usize, backward: true }, done));
        for (row, done) in stages.chain(backward) {
            if self.rows.insert(row) {
                self.events.extend(names(row).map(Event::Name));
            }
            self.events.extend(done.spans.iter().map(|span| {
                Event::Action(Action {
                    name: span.action.to_string(),
                    cat: outcome.phase.to_string(),
                    ph: "X",
                    ts: span.start_ns as f64 / 1e3,
                    dur: span.end_ns.saturating_sub(span.start_ns) as f64 / 1e3,
                    pid: row.pid(),
                    tid: row.tid(),
                    args: ActionArgs { step: outcome.step },
                })
            }));
        }
    }
}

/// The names of a new row, and of its stage where the row is the stage itself.
fn names(row: Row) -> impl Iterator<Item = Name> {
    let event = move |name, of| {
        let args = NameArgs { name: format!("stage {}", label(row.stage, of)) };
        Name { name, ph: "M", pid: row.pid(), tid: row.tid(), args }
    };
    let process = (!row.backward).then(|| event("process_name", Half::Forward));
    process.into_iter().chain([event("thread_name", row.half())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::control::StepDone;
    use proto::microbatch::Phase;
    use serde_json::{Value, json};

    #[test]
    fn every_field_is_documented() {
        use proto::control::Span;
        let span = Span { action: "U".parse().unwrap(), start_ns: 1000, end_ns: 3000 };
        let done = StepDone { spans: vec![span], ..StepDone::nothing(Phase::Train) };
        let mut trace = Trace::default();
        trace.add(&Outcome { stages: vec![done], ..outcome(7, Vec::new()) });
        let action = &serde_json::to_value(&trace).unwrap()["traceEvents"][2];
        let due = json!({"name": "U", "cat": "train", "ph": "X", "ts": 1.0, "dur": 2.0, "pid": 1, "tid": 1, "args": {"step": 7}});
        assert_eq!(action, &due);
        crate::documented::holds("trace.json", &[json!(trace)]);
    }

    fn outcome(step: u64, backward: Vec<(u32, StepDone)>) -> Outcome {
        let done = || StepDone::nothing(Phase::Train);
        Outcome {
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
        }
    }

    #[test]
    fn every_row_is_named_once() {
        let done = || StepDone::nothing(Phase::Train);
        let mut trace = Trace::default();
        trace.add(&outcome(1, vec![(1, done())]));
        trace.add(&outcome(2, vec![(1, done())]));
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
}
