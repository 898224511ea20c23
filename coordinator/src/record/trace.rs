//! `trace.json`: the time of every action of every stage, in the format of Chrome's trace viewer and Perfetto.
//! Times are those of the nodes' own clocks.

use crate::driver::Outcome;
use serde::Serialize;

/// The most events that are kept: viewers handle no more with ease, and the events stay in memory until the end.
const MOST: usize = 1_000_000;

/// The first events of a run.
#[derive(Debug, Default, Serialize)]
pub struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    /// The last step that the trace holds whole, once there were too many events.
    #[serde(skip)]
    full_after: Option<u64>,
}

/// A complete event ("X"): one action.
#[derive(Debug, Serialize)]
struct Event {
    name: String,
    cat: String,
    ph: &'static str,
    /// The start, in microseconds since the Unix epoch.
    ts: f64,
    /// The duration, in microseconds.
    dur: f64,
    /// The stage.
    pid: usize,
    tid: u8,
    args: EventArgs,
}

#[derive(Debug, Serialize)]
struct EventArgs {
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
        for (pid, done) in outcome.stages.iter().enumerate() {
            self.events.extend(done.spans.iter().map(|span| Event {
                name: span.action.to_string(),
                cat: outcome.phase.to_string(),
                ph: "X",
                ts: span.start_ns as f64 / 1e3,
                dur: span.end_ns.saturating_sub(span.start_ns) as f64 / 1e3,
                pid,
                tid: 0,
                args: EventArgs { step: outcome.step },
            }));
        }
    }
}
