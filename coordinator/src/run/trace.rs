//! `trace.json`: when every action of every stage computed, in the format of Chrome's trace viewer and
//! Perfetto. Times are the nodes' own clocks.

use crate::driver::Outcome;
use serde::Serialize;

/// The events of a run so far.
#[derive(Debug, Default, Serialize)]
pub struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
}

/// A complete event ("X"): one action.
#[derive(Debug, Serialize)]
struct Event {
    name: String,
    cat: String,
    ph: &'static str,
    /// Microseconds since the Unix epoch.
    ts: f64,
    /// Microseconds.
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
    /// Adds every action of a minibatch.
    pub fn add(&mut self, outcome: &Outcome) {
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
