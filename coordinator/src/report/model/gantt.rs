//! The Gantt chart: one step of the run, a row for each process from the coordinator's input to its loss.

use super::bottleneck::Shares;
use super::prediction::predicted;
use super::settings::Settings;
use super::text::count;
use crate::driver::Task;
use crate::pipeline::Schedule;
use crate::record::{ActionTime, Message, ProcessLane, StepTimeline};
use crate::report::Run;
use proto::link::Role;

/// Pieces of a row from which on narrow ones are left out.
const PIECES: usize = 400;
/// Stages from which on the rows are low.
const MANY: usize = 24;

/// The chart and its words.
pub struct Gantt {
    pub step: String,
    pub seconds: String,
    /// The share of all stages' time that is idle, in per cent: measured, and predicted.
    pub bubble: [String; 2],
    /// The predicted time of a step.
    pub predicted: String,
    /// The sentence about the bottleneck.
    pub bottleneck: String,
    pub rows: Vec<Row>,
    /// The times below the chart, from its left to its right end.
    pub ticks: Vec<String>,
    /// Whether there are so many rows that they are low.
    pub many: bool,
    /// Whether a part of U ran apart from the rest.
    pub slips: bool,
    /// Whether actions of other steps ran between those of this one.
    pub overlaps: bool,
    /// Whether a stage has its W and B on two hosts, so that rows have long names.
    pub halves: bool,
}

/// A row.
pub struct Row {
    pub name: String,
    pub pieces: Vec<Piece>,
}

/// A piece of a row, in per cent of its width.
pub struct Piece {
    /// The style: the kind of the work.
    pub kind: &'static str,
    pub left: f64,
    pub width: f64,
    pub title: String,
}

/// Something in a row, in seconds.
struct Span {
    kind: &'static str,
    name: String,
    start: f64,
    end: f64,
}

impl Gantt {
    /// The chart of the step that the run's record keeps; `None` where it keeps none.
    pub fn of(run: &Run) -> Option<Self> {
        let step = run.timeline.as_ref()?;
        let shares = Shares::of(step)?;
        let predicted = predicted(step, asynchronous_ahead(run));
        let actions = || step.lanes.iter().flat_map(|lane| &lane.actions);
        let first = actions().map(|action| action.start_s).fold(0.0, f64::min);
        // B's part of U may follow in the next step, beyond the end of the chart.
        let whole = actions().filter(|action| !action.backward);
        let last = whole.map(|action| action.end_s).fold(step.seconds, f64::max);
        let percent =
            |share: Option<f64>| share.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share));
        let ticks = (0..=4).map(|quarter| milliseconds(first + (last - first) * f64::from(quarter) / 4.0));
        Some(Self {
            step: count(&step.step),
            seconds: milliseconds(step.seconds),
            bubble: [percent(Some(step.bubble())), percent(predicted.as_ref().map(|pace| pace.bubble()))],
            predicted: predicted.map_or("–".into(), |pace| milliseconds(pace.step)),
            bottleneck: shares.sentence(),
            rows: rows(step, [first, last]),
            ticks: ticks.collect(),
            many: step.lanes.len() > MANY,
            halves: step.lanes.iter().any(|lane| matches!(lane.of, Role::Backward(_))),
            overlaps: step.lanes.iter().any(|lane| !lane.others.is_empty()),
            slips: actions().any(|action| action.backward),
        })
    }
}

/// `pipeline.ahead` of a run whose schedule is asynchronous.
fn asynchronous_ahead(run: &Run) -> Option<u32> {
    let settings = Settings::of(&run.config_toml);
    let schedule = settings.name("pipeline.schedule")?;
    let asynchronous = schedule == Schedule::Asynchronous.to_string();
    settings.name("pipeline.ahead")?.parse().ok().filter(|_| asynchronous)
}

/// The rows from the coordinator's input to its loss.
fn rows(step: &StepTimeline, extent: [f64; 2]) -> Vec<Row> {
    let own = || step.lanes.iter().filter(|lane| lane.of == Role::Coordinator);
    let nodes = step.lanes.iter().filter(|lane| lane.of != Role::Coordinator);
    let input = own().map(|lane| row("data".into(), tasks(lane, Task::Load), extent));
    let loss = own().map(|lane| row("loss".into(), tasks(lane, Task::Loss), extent));
    let nodes = nodes.map(|lane| {
        let name = lane.of.to_string();
        row(name.trim_start_matches("stage ").to_owned(), spans(lane, &step.messages), extent)
    });
    input.chain(nodes).chain(loss).collect()
}

fn tasks(lane: &ProcessLane, task: Task) -> Vec<Span> {
    let (kind, word) = match task {
        Task::Load => ("load", "Loading"),
        Task::Loss => ("loss", "Loss"),
    };
    let of = lane.tasks.iter().filter(|span| span.task == task);
    of.map(|span| Span {
        kind,
        name: format!("{word} {}", span.microbatch),
        start: span.start_s,
        end: span.end_s,
    })
    .collect()
}

/// The waits, the sends and the actions of a node: what comes later is drawn above what came before.
fn spans(lane: &ProcessLane, messages: &[Message]) -> Vec<Span> {
    let wait = |message: &Message| {
        let (start, end) = message.awaited_s.zip(message.taken_s)?;
        let name = format!("Waiting for {} of {}", words(message), message.from);
        Some(Span { kind: "hold", name, start, end })
    };
    let send = |message: &Message| {
        let (start, end) = message.begun_s.zip(message.handed_s)?;
        let name = format!("Sending {} to {}", words(message), message.to);
        Some(Span { kind: "hand", name, start, end })
    };
    let mut spans: Vec<Span> =
        messages.iter().filter(|message| message.to == lane.of).filter_map(wait).collect();
    spans.extend(messages.iter().filter(|message| message.from == lane.of).filter_map(send));
    let other = |action: &ActionTime| Span {
        kind: "other-step",
        name: format!("{}, of another step", action.action),
        start: action.start_s,
        end: action.end_s,
    };
    spans.extend(lane.others.iter().map(other));
    spans.extend(lane.actions.iter().map(|action| {
        let kind = match action.action.as_bytes().first() {
            Some(b'F') => "forward",
            Some(b'E') => "error-signal",
            Some(b'G') => "gradient",
            _ => "update",
        };
        let part = if action.backward { ", the step of B" } else { "" };
        Span { kind, name: format!("{}{part}", action.action), start: action.start_s, end: action.end_s }
    }));
    spans
}

fn words(message: &Message) -> String {
    let kind = message.carried.replace('_', " ");
    format!("{kind} {}", message.microbatch)
}

/// A row of `spans`, of which those beyond `extent` are cut off. Where there are very many, a span that is too narrow to be
/// seen beside the one before it is left out, and the others are as wide as can be seen.
fn row(name: String, spans: Vec<Span>, [first, last]: [f64; 2]) -> Row {
    let whole = (last - first).max(f64::MIN_POSITIVE);
    let place = |time: f64| ((time - first) / whole).clamp(0.0, 1.0) * 100.0;
    let narrowest = if spans.len() > PIECES { 100.0 / PIECES as f64 } else { 0.0 };
    let mut pieces: Vec<Piece> = Vec::new();
    for Span { kind, name, start, end } in spans {
        let (left, right) = (place(start), place(end));
        let hidden = |before: &Piece| {
            let rest = right - (before.left + before.width);
            left >= before.left && rest < narrowest / 2.0
        };
        if right > left && !pieces.last().is_some_and(hidden) {
            let title = format!("{name}: {}", milliseconds(end - start));
            let width = (right - left).max(narrowest).min(100.0 - left);
            pieces.push(Piece { kind, left, width, title });
        }
    }
    Row { name, pieces }
}

/// A time in milliseconds, or in seconds from ten seconds on.
fn milliseconds(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms.abs() >= 1e4 => format!("{seconds:.1} s"),
        ms if ms.abs() >= 100.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}

#[cfg(test)]
mod tests;
