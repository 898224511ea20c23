//! `trace.json`: the time of every action, wait and message of every process, in the format of Chrome's trace viewer and
//! Perfetto. All times are by the coordinator's clock.
//!
//! Each stage is a named process with named threads: its actions; the waits of its worker, and the messages that the
//! worker hands over; the messages on their way to it from below, from above, and from its other half. Its backward node
//! has threads of its own. An arrow leads from the hand-over of a message to its way.
//!
//! Numbers of processes and threads begin at 1, because viewers take 0 for the idle process and do not show its name.

mod event;
mod row;

use crate::driver::{Outcome, Task};
use crate::record::timeline::Aligned;
use event::{Args, Event, Flow, Slice};
use proto::control::StepDone;
use proto::link::{Carried, Role};
use proto::timeline::Transfer;
use row::{Row, Track};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most events that are kept: viewers handle no more with ease, and the events stay in memory until the end.
const MOST: usize = 1_000_000;

/// The kind of a slice that is an action: its category is the phase alone.
const ACTION: &str = "";

/// The first events of a run.
#[derive(Debug, Default, Serialize)]
pub struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    /// The rows that have events.
    #[serde(skip)]
    rows: BTreeSet<Row>,
    /// The end of the last message on its way in each row, in microseconds.
    #[serde(skip)]
    ends: BTreeMap<Row, f64>,
    /// The messages so far, which number the arrows.
    #[serde(skip)]
    messages: u64,
    /// The last step that the trace holds whole, once there were too many events.
    #[serde(skip)]
    full_after: Option<u64>,
}

/// A minibatch whose events are added.
struct Adding<'a> {
    outcome: &'a Outcome,
    aligned: Option<&'a Aligned<'a>>,
}

impl Adding<'_> {
    /// The time of `process` by the coordinator's clock, in microseconds.
    fn time(&self, process: Role, ns: u64) -> f64 {
        self.aligned.map_or(ns as f64, |aligned| aligned.time(process, ns) as f64) / 1e3
    }

    /// A slice of `row` between two times of its process.
    fn slice(&self, row: Row, kind: &str, name: String, [start, end]: [u64; 2], args: Args) -> Slice {
        let [ts, end] = [start, end].map(|ns| self.time(row.of, ns));
        self.between(row, kind, name, [ts, end], args)
    }

    /// A slice of `row` between two times in microseconds.
    fn between(&self, row: Row, kind: &str, name: String, [ts, end]: [f64; 2], args: Args) -> Slice {
        let Outcome { step, phase, .. } = self.outcome;
        let cat = if kind == ACTION { phase.to_string() } else { format!("{phase},{kind}") };
        let (args, pid, tid) = (Args { step: *step, ..args }, row.pid(), row.tid());
        Slice { name, cat, ph: "X", ts, dur: (end - ts).max(0.0), pid, tid, args }
    }
}

impl Trace {
    /// The last step that the trace holds whole, if later steps had no room.
    pub fn full_after(&self) -> Option<u64> {
        self.full_after
    }

    /// Adds every action of a minibatch, as long as there is room; with `aligned`, also its waits and messages.
    pub fn add(&mut self, outcome: &Outcome, aligned: Option<&Aligned<'_>>) {
        if self.events.len() >= MOST {
            self.full_after.get_or_insert(outcome.step.saturating_sub(1));
            return;
        }
        let adding = Adding { outcome, aligned };
        let stages = (0..).map(Role::Stage).zip(&outcome.stages);
        let backward = outcome.backward.iter().map(|(stage, done)| (Role::Backward(*stage), done));
        stages.chain(backward).for_each(|(of, done)| self.actions(&adding, of, done));
        if let Some(aligned) = aligned {
            self.tasks(&adding, aligned);
            for (&(from, to, carried, microbatch, _), sent, received) in aligned.messages() {
                let message = Crossing { from, to, carried, microbatch, sent, received };
                self.message(&adding, &message);
            }
            self.clocks(&adding, aligned);
        }
    }

    /// Ends each slice where the next one of its row begins, at the latest. Each step has offsets of clocks of its own, so
    /// that the slices of two steps can overlap by the error of these; a viewer draws no slices of one row that overlap.
    pub fn settle(&mut self) {
        let mut rows: BTreeMap<[u64; 2], Vec<&mut Slice>> = BTreeMap::new();
        for event in &mut self.events {
            if let Event::Slice(slice) = event
                && slice.dur > 0.0
            {
                rows.entry([slice.pid, slice.tid]).or_default().push(slice);
            }
        }
        for slices in rows.values_mut() {
            slices.sort_by(|a, b| a.ts.total_cmp(&b.ts));
            let starts: Vec<f64> = slices.iter().skip(1).map(|slice| slice.ts).collect();
            for (slice, next) in slices.iter_mut().zip(starts) {
                slice.dur = slice.dur.min(next - slice.ts);
            }
        }
    }

    fn actions(&mut self, adding: &Adding<'_>, of: Role, done: &StepDone) {
        let row = self.row(Row::new(of, Track::Work));
        for span in &done.spans {
            let name = span.action.to_string();
            let slice = adding.slice(row, ACTION, name, [span.start_ns, span.end_ns], Args::default());
            self.events.push(Event::Slice(slice));
        }
    }

    fn tasks(&mut self, adding: &Adding<'_>, aligned: &Aligned<'_>) {
        for span in &aligned.own().tasks {
            let (track, word) = match span.task {
                Task::Load => (Track::Load, "load"),
                Task::Loss => (Track::Loss, "loss"),
            };
            let row = self.row(Row::new(Role::Coordinator, track));
            let name = format!("{word} {}", span.microbatch);
            let slice = adding.slice(row, "task", name, [span.start_ns, span.end_ns], Args::default());
            self.events.push(Event::Slice(slice));
        }
    }

    /// Adds a message: its hand-over at the sender, its way and the wait for it at the receiver, and the arrow.
    fn message(&mut self, adding: &Adding<'_>, message: &Crossing<'_>) {
        let Crossing { from, to, carried, microbatch, sent, received } = *message;
        let what = format!("{} {microbatch}", word(carried));
        if let Some(sent) = sent {
            let row = self.row(Row::new(from, Track::handing(from, carried)));
            let args = Args { peer: Some(to), bytes: Some(sent.bytes), ..Args::default() };
            let slice = adding.slice(row, "send", format!("send {what}"), [sent.start_ns, sent.end_ns], args);
            self.events.push(Event::Slice(slice));
        }
        let Some(received) = received else { return };
        let args = || Args { peer: Some(from), ..Args::default() };
        let row = self.row(Row::new(to, Track::waiting(to, carried)));
        let waited = [received.start_ns, received.end_ns];
        let slice = adding.slice(row, "wait", format!("wait {what}"), waited, args());
        self.events.push(Event::Slice(slice));
        let Some(sent) = sent else { return };
        let left = adding.time(from, sent.transport_ns.unwrap_or(sent.start_ns));
        let came = adding.time(to, received.transport_ns.unwrap_or(received.end_ns));
        let way = self.way(Row::new(to, Track::way(from, to, carried)), [left, came]);
        let args = Args { bytes: Some(sent.bytes), ..args() };
        let slice = adding.between(way, "receive", format!("receive {what}"), [left, came], args);
        self.events.push(Event::Slice(slice));
        self.messages += 1;
        let begun = adding.time(from, sent.start_ns);
        let sender = Row::new(from, Track::handing(from, carried));
        let id = self.messages;
        let [sender, way] = [sender, way].map(|row| [row.pid(), row.tid()]);
        let arrow = [Flow::begin(id, begun, sender), Flow::end(id, left.max(begun), way)];
        self.events.extend(arrow.map(Event::Flow));
    }

    /// Adds what each clock was set forward by.
    fn clocks(&mut self, adding: &Adding<'_>, aligned: &Aligned<'_>) {
        for (of, offset_ns, uncertainty_ns) in aligned.offsets().filter(|(of, ..)| *of != Role::Coordinator) {
            let row = self.row(Row::new(of, Track::Work));
            let Some(done) = report(adding.outcome, of).and_then(|done| done.spans.first()) else { continue };
            let (offset_us, uncertainty_us) = (offset_ns as f64 / 1e3, uncertainty_ns as f64 / 1e3);
            let args =
                Args { offset_us: Some(offset_us), uncertainty_us: Some(uncertainty_us), ..Args::default() };
            let begin = [done.start_ns; 2];
            self.events.push(Event::Slice(adding.slice(row, "clock", "clock".into(), begin, args)));
        }
    }

    /// The first row like `row` that is free from `left` on, which is taken until `came`; both in microseconds.
    fn way(&mut self, row: Row, [left, came]: [f64; 2]) -> Row {
        let is_free = |row: &Row| self.ends.get(row).is_none_or(|end| *end <= left);
        let free = (0..).map(|line| Row { line, ..row }).find(is_free).unwrap_or(row);
        self.ends.insert(free, came.max(left));
        self.row(free)
    }

    /// The row, which gets its names when it is new.
    fn row(&mut self, row: Row) -> Row {
        if self.rows.insert(row) {
            self.events.extend(row.names().map(Event::Name));
        }
        row
    }
}

/// A message of a step, with the records of its ends.
#[derive(Clone, Copy)]
struct Crossing<'a> {
    from: Role,
    to: Role,
    carried: Carried,
    microbatch: u32,
    sent: Option<&'a Transfer>,
    received: Option<&'a Transfer>,
}

/// The report of a node.
fn report(outcome: &Outcome, of: Role) -> Option<&StepDone> {
    match of {
        Role::Stage(stage) => outcome.stages.get(stage as usize),
        Role::Backward(stage) => outcome.backward.iter().find(|(of, _)| *of == stage).map(|(_, done)| done),
        Role::Coordinator | Role::Node => None,
    }
}

fn word(carried: Carried) -> &'static str {
    match carried {
        Carried::Activations => "activations",
        Carried::ErrorSignals => "errors",
        Carried::LayerValues => "values",
    }
}

#[cfg(test)]
mod tests;
