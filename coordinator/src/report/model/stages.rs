//! The stages section: how every stage spent its time, and how much every node sent and received.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{Chart, Charts};
use super::curve::{Curve, Point, finite, smooth, window};
use super::text::{Bytes, duration};
use crate::record::NodeSummary;
use crate::report::Run;

/// The time and the traffic of every run's stages, and the speed over time.
pub struct Stages<'a> {
    pub times: Vec<Time>,
    pub speed: usize,
    /// A row for each run, all stages together.
    pub runs: Table<'a>,
    /// A table for each run, with a row for each stage.
    pub stages: Vec<Table<'a>>,
}

/// The time of a run's stages: a bar for each stage, as long as the run; no bar if no stage measured its time.
pub struct Time {
    pub whole: String,
    pub bars: Vec<(usize, [Part; 4])>,
}

/// The time that a stage spent on one activity, also in per cent of the whole.
pub struct Part {
    pub name: &'static str,
    pub time: String,
    pub share: f64,
}

/// The traffic of stages or of runs.
pub struct Table<'a> {
    pub rows: Vec<Traffic<'a>>,
    /// The largest amount, whose bar is full.
    pub most: Bytes,
}

/// The traffic of a stage, or of all stages of a run: bytes sent in a step, and bytes that the nodes sent and
/// received in the run.
pub struct Traffic<'a> {
    pub name: String,
    pub address: &'a str,
    pub activations: Bytes,
    pub errors: Bytes,
    pub sent: Bytes,
    pub received: Bytes,
}

impl<'a> Stages<'a> {
    pub fn of(runs: &'a [Run], charts: &mut Charts) -> Self {
        let speed = Chart::new("Images per second", "", Curve::of_runs(runs, 1000, speeds));
        Self {
            times: runs.iter().map(Time::of).collect(),
            speed: charts.add(Chart { at_least: Some([0.0, 1.0]), ..speed }),
            runs: Table::of(runs.iter().map(Traffic::of_run).collect()),
            stages: runs.iter().map(|run| Table::of(Traffic::of_stages(run))).collect(),
        }
    }
}

/// Images per second, smoothed as time per image. When steps finish in a burst, the first step carries the time of
/// all, so the speed of a single step means nothing.
fn speeds(run: &Run) -> Vec<Point> {
    let times =
        finite(run.metrics.iter().map(|step| (step.step, step.images_per_s.map(|speed| 1.0 / speed))));
    let smoothed = smooth(&times, window(times.len()).max(BURST));
    smoothed.into_iter().map(|(step, time)| (step, 1.0 / time)).collect()
}

/// The least number of steps in the average of the speed.
const BURST: usize = 9;

/// The totals of one stage over all steps of its run.
#[derive(Default)]
struct Total {
    compute: f64,
    wait: f64,
    send: f64,
    forward: u64,
    backward: u64,
}

fn totals(run: &Run) -> BTreeMap<usize, Total> {
    let mut totals: BTreeMap<usize, Total> = BTreeMap::new();
    for trace in run.metrics.iter().flat_map(|step| &step.stages) {
        let total = totals.entry(trace.stage).or_default();
        total.compute += trace.compute_s.unwrap_or(0.0);
        total.wait += trace.wait_s.unwrap_or(0.0);
        total.send += trace.send_s.unwrap_or(0.0);
        total.forward += trace.bytes_forward;
        total.backward += trace.bytes_backward;
    }
    totals
}

impl Time {
    /// The times of a run. The whole is the training time in its summary, or the time of its busiest stage if that
    /// is longer.
    fn of(run: &Run) -> Self {
        let totals = totals(run);
        let busiest = totals.values().map(|t| t.compute + t.wait + t.send).fold(0.0, f64::max);
        let whole = run.summary.seconds.unwrap_or(0.0).max(busiest);
        let part = |name, seconds| {
            let share = seconds / whole * 100.0;
            Part { name, time: duration(&Some(seconds)), share }
        };
        let bar = |(stage, Total { compute, wait, send, .. })| {
            let other = whole - compute - wait - send;
            let parts = [("compute", compute), ("wait", wait), ("send", send), ("other", other)];
            (stage, parts.map(|(name, seconds)| part(name, seconds)))
        };
        let measured = totals.into_iter().filter(|_| busiest > 0.0);
        Self { whole: duration(&Some(whole)), bars: measured.map(bar).collect() }
    }
}

impl<'a> Table<'a> {
    fn of(rows: Vec<Traffic<'a>>) -> Self {
        let most = rows.iter().flat_map(|row| [row.sent, row.received]).max().unwrap_or(Bytes(None));
        Self { rows, most }
    }
}

impl<'a> Traffic<'a> {
    fn of_run(run: &'a Run) -> Self {
        let (totals, nodes) = (totals(run), Vec::from_iter(&run.summary.nodes));
        Self::of(run.name.clone(), run, &Vec::from_iter(totals.values()), &nodes)
    }

    fn of_stages(run: &'a Run) -> Vec<Self> {
        let (totals, nodes) = (totals(run), &run.summary.nodes);
        let stages: BTreeSet<usize> = totals.keys().copied().chain(nodes.iter().map(|n| n.stage)).collect();
        let row = |stage: usize| {
            let node = nodes.iter().find(|node| node.stage == stage);
            Self::of(stage.to_string(), run, totals.get(&stage).as_slice(), node.as_slice())
        };
        stages.into_iter().map(row).collect()
    }

    /// The sums over `stages` and over `nodes` of a run.
    fn of(name: String, run: &Run, stages: &[&Total], nodes: &[&'a NodeSummary]) -> Self {
        let steps = run.metrics.iter().filter(|step| !step.stages.is_empty()).count() as u64;
        let in_step = |bytes: fn(&Total) -> u64| {
            Bytes(sum(stages.iter().map(|total| Some(bytes(total)))).map(|bytes| bytes / steps))
        };
        let in_run =
            |bytes: fn(&NodeSummary) -> Option<u64>| Bytes(sum(nodes.iter().map(|node| bytes(node))));
        Self {
            name,
            address: nodes.first().and_then(|node| node.address.as_deref()).unwrap_or_default(),
            activations: in_step(|total| total.forward),
            errors: in_step(|total| total.backward),
            sent: in_run(|node| node.bytes_sent),
            received: in_run(|node| node.bytes_received),
        }
    }
}

/// The sum of at least one number, if all numbers are known.
fn sum(mut numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = numbers.next()??;
    numbers.try_fold(first, |sum, number| Some(sum + number?))
}
