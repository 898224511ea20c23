//! The stages section: how every stage and every backward node spent its time, and how much every node sent and received.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Point, Style, finite, smooth, window};
use super::text::{Bytes, duration};
use crate::record::{Drawn, NodeSummary, Step, label};
use crate::report::Run;
use proto::spec::stage::Half;

/// The time and the traffic of a run's stages, and the speed over time.
pub struct Stages<'a> {
    pub time: Time,
    pub speed: usize,
    /// A row for each node.
    pub nodes: Table<'a>,
    /// The words about the step since which the numbers of the nodes count; empty for the run's beginning.
    pub since: String,
}

/// The time of a run's nodes: a bar for each node, as long as the run; no bar if no node measured its time.
pub struct Time {
    pub whole: String,
    pub bars: Vec<(String, [Part; 4])>,
}

/// The time that a stage spent on one activity, also in per cent of the whole.
pub struct Part {
    pub name: &'static str,
    pub time: String,
    pub share: f64,
}

/// The traffic of nodes or of runs.
pub struct Table<'a> {
    pub rows: Vec<Traffic<'a>>,
    /// The largest amount, whose bar is full.
    pub most: Bytes,
    /// Whether a stage has its W and B on two hosts.
    pub split: bool,
    /// Whether the memory of a node is known.
    pub memory: bool,
}

/// The traffic of a node, or of all nodes of a run: bytes sent in a step, and bytes that the nodes sent and received in
/// the run; and the peak of their memory.
pub struct Traffic<'a> {
    pub name: String,
    pub address: &'a str,
    pub activations: Bytes,
    pub errors: Bytes,
    /// Bytes for the other half of a stage.
    pub halves: Bytes,
    pub sent: Bytes,
    pub received: Bytes,
    pub memory: Bytes,
}

impl<'a> Stages<'a> {
    pub fn of(run: &'a Run, charts: &mut Charts) -> Self {
        let curve = Curve::new(&run.name, Hue::Run(0), Style::Line, &speeds(run), 1000);
        let speed = Chart::new("Images per second", "", vec![curve]);
        Self {
            time: Time::of(run),
            speed: charts.add(Chart { at_least: Some([0.0, 1.0]), ..speed }),
            nodes: Table::of(Traffic::of_nodes(run)),
            since: since(run),
        }
    }
}

/// Images per second, smoothed as time per image. When steps finish in a burst, the first step carries the time of
/// all, so the speed of a single step means nothing.
pub fn speeds(run: &Run) -> Vec<Point> {
    let drawn = Drawn::all(&run.metrics);
    let times = finite(drawn.iter().map(|step| (step.step, step.images_per_s.map(|speed| 1.0 / speed))));
    let smoothed = smooth(&times, window(times.len()).max(BURST));
    smoothed.into_iter().map(|(step, time)| (step, 1.0 / time)).collect()
}

/// The least number of steps in the average of the speed.
const BURST: usize = 9;

/// The totals of one node over all steps of its run.
#[derive(Default)]
struct Total {
    compute: f64,
    wait: f64,
    send: f64,
    /// Bytes of activations and of error signals in the ring, where a backward node has no part.
    forward: Option<u64>,
    backward: Option<u64>,
    split: u64,
}

/// A node's place in tables: the stages come first, then the backward nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    backward: bool,
    stage: usize,
}

impl Node {
    fn of(node: &NodeSummary) -> Self {
        Self { backward: node.half == Half::Backward, stage: node.stage }
    }

    fn name(self) -> String {
        label(self.stage, if self.backward { Half::Backward } else { Half::Forward })
    }
}

/// The steps of `run` since its network was cut as it is now: a stage of another cut is another stage.
fn steps(run: &Run) -> impl Iterator<Item = &Step> {
    let after = run.summary.nodes_after.unwrap_or(0);
    run.metrics.iter().filter(move |step| step.step > after)
}

/// The words about the time since when the numbers of nodes count; empty where that is the run's beginning.
fn since(run: &Run) -> String {
    run.summary.nodes_after.map(|step| format!(" since step {step}")).unwrap_or_default()
}

fn totals(run: &Run) -> BTreeMap<Node, Total> {
    let mut totals: BTreeMap<Node, Total> = BTreeMap::new();
    let mut worked = |node: Node, times: [Option<f64>; 3], split: u64, ring: Option<[u64; 2]>| {
        let total = totals.entry(node).or_default();
        let [compute, wait, send] = times.map(|seconds| seconds.unwrap_or(0.0));
        (total.compute, total.wait, total.send) =
            (total.compute + compute, total.wait + wait, total.send + send);
        total.split += split;
        if let Some([forward, backward]) = ring {
            *total.forward.get_or_insert(0) += forward;
            *total.backward.get_or_insert(0) += backward;
        }
    };
    for trace in steps(run).flat_map(|step| &step.stages) {
        let times = [trace.compute_s, trace.wait_s, trace.send_s];
        let ring = [trace.bytes_forward, trace.bytes_backward];
        worked(Node { backward: false, stage: trace.stage }, times, trace.bytes_split, Some(ring));
    }
    for trace in steps(run).flat_map(|step| &step.backward) {
        let times = [trace.compute_s, trace.wait_s, trace.send_s];
        worked(Node { backward: true, stage: trace.stage }, times, trace.bytes_split, None);
    }
    totals
}

impl Time {
    /// The times of a run. The whole is the training time in its summary, or that of the steps since its newest cut, or
    /// the time of its busiest stage if that is longer.
    pub fn of(run: &Run) -> Self {
        let totals = totals(run);
        let busiest = totals.values().map(|t| t.compute + t.wait + t.send).fold(0.0, f64::max);
        let training = match run.summary.nodes_after {
            None => run.summary.seconds.unwrap_or(0.0),
            Some(_) => steps(run).map(|step| step.took().as_secs_f64()).sum(),
        };
        let whole = training.max(busiest);
        let part = |name, seconds| {
            let share = seconds / whole * 100.0;
            Part { name, time: duration(&Some(seconds)), share }
        };
        let bar = |(node, Total { compute, wait, send, .. }): (Node, Total)| {
            let other = whole - compute - wait - send;
            let parts = [("compute", compute), ("wait", wait), ("send", send), ("other", other)];
            (node.name(), parts.map(|(name, seconds)| part(name, seconds)))
        };
        let measured = totals.into_iter().filter(|_| busiest > 0.0);
        let whole = duration(&Some(whole)) + &since(run);
        Self { whole, bars: measured.map(bar).collect() }
    }
}

impl<'a> Table<'a> {
    fn of(rows: Vec<Traffic<'a>>) -> Self {
        let most = rows.iter().flat_map(|row| [row.sent, row.received]).max().unwrap_or(Bytes(None));
        let split = rows.iter().any(|row| row.halves > Bytes(Some(0)));
        let memory = rows.iter().any(|row| row.memory > Bytes(None));
        Self { rows, most, split, memory }
    }
}

impl<'a> Traffic<'a> {
    /// All nodes of a run together.
    pub fn of_run(run: &'a Run) -> Self {
        let (totals, nodes) = (totals(run), Vec::from_iter(&run.summary.nodes));
        Self::of(run.name.clone(), run, &Vec::from_iter(totals.values()), &nodes)
    }

    fn of_nodes(run: &'a Run) -> Vec<Self> {
        let (totals, nodes) = (totals(run), &run.summary.nodes);
        let all: BTreeSet<Node> = totals.keys().copied().chain(nodes.iter().map(Node::of)).collect();
        let row = |at: Node| {
            let node = nodes.iter().find(|node| Node::of(node) == at);
            Self::of(at.name(), run, totals.get(&at).as_slice(), node.as_slice())
        };
        all.into_iter().map(row).collect()
    }

    /// The sums over the `totals` of nodes and over the `nodes` of a run.
    fn of(name: String, run: &Run, totals: &[&Total], nodes: &[&'a NodeSummary]) -> Self {
        let steps = steps(run).filter(|step| !step.stages.is_empty()).count() as u64;
        let in_step = |bytes: fn(&Total) -> Option<u64>| {
            let known = totals.iter().filter_map(|total| bytes(total)).map(Some);
            Bytes(sum(known).map(|bytes| bytes / steps.max(1)))
        };
        let in_run =
            |bytes: fn(&NodeSummary) -> Option<u64>| Bytes(sum(nodes.iter().map(|node| bytes(node))));
        Self {
            name,
            address: nodes.first().and_then(|node| node.address.as_deref()).unwrap_or_default(),
            activations: in_step(|total| total.forward),
            errors: in_step(|total| total.backward),
            halves: in_step(|total| Some(total.split)),
            sent: in_run(|node| node.bytes_sent),
            received: in_run(|node| node.bytes_received),
            memory: in_run(|node| node.memory_peak_bytes),
        }
    }
}

/// The sum of at least one number, if all numbers are known.
fn sum(mut numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = numbers.next()??;
    numbers.try_fold(first, |sum, number| Some(sum + number?))
}
