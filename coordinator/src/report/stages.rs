//! Placement the time of every stage went, and how much every node sent and received.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Point, Style, finite, smooth, window};
use super::run::{NodeSummary, Run};
use super::text::{bytes, duration, escape, fold, key};

/// One stage over all steps of its run.
#[derive(Clone, Copy, Default)]
struct Total {
    compute: f64,
    wait: f64,
    send: f64,
    forward: u64,
    backward: u64,
}

/// The bars of every run and the speed over time; the traffic.
pub(super) fn section(runs: &[Run], charts: &mut Charts) -> String {
    let speed = |(i, run): (usize, &Run)| Curve::new(&run.name, Hue::Run(i), Style::Line, &speeds(run), 1000);
    let mut chart = Chart::new("Images per second", "", runs.iter().enumerate().map(speed).collect());
    chart.at_least = Some([0.0, 1.0]);
    let speed = charts.figure(chart);
    let block =
        |(i, run): (usize, &Run)| format!("<div>\n<h3>{}</h3>\n{}</div>\n", key(i, &run.name), time(run));
    let (time, traffic) = match runs {
        [run] => (format!("<div>\n{}</div>\n", time(run)), traffic(run)),
        runs => {
            let blocks: String = runs.iter().enumerate().map(block).collect();
            (format!("<div class=\"blocks\">\n{blocks}</div>\n"), traffics(runs))
        }
    };
    format!(
        "<section>\n<h2>Time</h2>\n<p class=\"keys\"><span class=\"key\"><i class=\"compute\"></i>computing</span>\
         <span class=\"key\"><i class=\"wait\"></i>waiting for neighbours</span>\
         <span class=\"key\"><i class=\"send\"></i>sending</span>\
         <span class=\"key\"><i class=\"other\"></i>neither</span></p>\n\
         <div class=\"charts\">\n{time}{speed}</div>\n</section>\n\
         <section>\n<h2>Traffic</h2>\n<p>Activations go up and error signals down, counted per step; what was sent and \
         received is counted over the run.</p>\n{traffic}</section>\n"
    )
}

/// Images per second, smoothed as time per image: of steps that come out in a burst the first took the time
/// of all, and the speed of the others says nothing.
fn speeds(run: &Run) -> Vec<Point> {
    let times = run.metrics.iter().map(|step| (step.step, step.images_per_s.map(|speed| 1.0 / speed)));
    let times = finite(times);
    let smoothed = smooth(&times, window(times.len()).max(BURST));
    smoothed.into_iter().map(|(step, time)| (step, 1.0 / time)).collect()
}

/// Steps over which the speed is an average at least.
const BURST: usize = 9;

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

/// A bar per stage as long as the run, in four parts, with the shares beside it.
///
/// The run is as long as its summary says, but not shorter than what the busiest stage did.
fn time(run: &Run) -> String {
    let totals = totals(run);
    let busiest = totals.values().map(|t| t.compute + t.wait + t.send).fold(0.0, f64::max);
    let whole = run.summary.seconds.unwrap_or(0.0).max(busiest);
    if busiest == 0.0 {
        return "<p>Not measured.</p>\n".to_owned();
    }
    let row = |(stage, total): (&usize, &Total)| {
        let other = whole - total.compute - total.wait - total.send;
        let part = |class: &str, seconds: f64| {
            let (share, time) = (seconds / whole * 100.0, duration(Some(seconds)));
            let bar = format!("<i class=\"{class}\" style=\"width:{share:.2}%\" title=\"{time}\"></i>");
            (bar, format!("<td>{share:.0}%</td>"))
        };
        let [compute, wait, send] = [("compute", total.compute), ("wait", total.wait), ("send", total.send)];
        let parts = [compute, wait, send, ("other", other)].map(|(class, seconds)| part(class, seconds));
        let (bars, shares): (String, String) = parts.into_iter().unzip();
        format!("<tr><th scope=\"row\">{stage}</th><td><div class=\"bar\">{bars}</div></td>{shares}</tr>\n")
    };
    let rows: String = totals.iter().map(row).collect();
    format!(
        "<table class=\"bars words-2\">\n<thead><tr><th>Stage</th><th>Share of {}</th><th>Comp.</th><th>Wait</th>\
         <th>Send</th><th>Other</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        duration(Some(whole))
    )
}

/// What every stage sends in a step, and every node sent and received in the whole run.
fn traffic(run: &Run) -> String {
    let (totals, nodes, steps) = (totals(run), &run.summary.nodes, traced(run));
    let stages: BTreeSet<usize> = totals.keys().copied().chain(nodes.iter().map(|node| node.stage)).collect();
    let most = nodes.iter().flat_map(|n| [n.bytes_sent, n.bytes_received]).flatten().max().unwrap_or(0);
    let row = |stage: usize| {
        let node = nodes.iter().find(|node| node.stage == stage);
        let address = node.and_then(|n| n.address.as_deref()).map(escape).unwrap_or_default();
        let total = totals.get(&stage);
        format!(
            "<tr><th scope=\"row\">{stage} <small>{address}</small></th>{}</tr>\n",
            cells(
                [total.map(|t| t.forward / steps), total.map(|t| t.backward / steps)],
                [node.and_then(|n| n.bytes_sent), node.and_then(|n| n.bytes_received)],
                most
            )
        )
    };
    table("Stage", stages.into_iter().map(row).collect())
}

/// The same of several runs, all stages together; each run's stages are folded away.
fn traffics(runs: &[Run]) -> String {
    let sum = |run: &Run, bytes: fn(&NodeSummary) -> Option<u64>| -> Option<u64> {
        run.summary.nodes.iter().map(bytes).sum::<Option<u64>>().filter(|_| !run.summary.nodes.is_empty())
    };
    let whole: Vec<_> =
        runs.iter().map(|r| [sum(r, |n| n.bytes_sent), sum(r, |n| n.bytes_received)]).collect();
    let most = whole.iter().flatten().flatten().copied().max().unwrap_or(0);
    let row = |(i, run): (usize, &Run)| {
        let totals = totals(run);
        let step = |bytes: fn(&Total) -> u64| {
            (!totals.is_empty()).then(|| totals.values().map(bytes).sum::<u64>() / traced(run))
        };
        let cells = cells([step(|t| t.forward), step(|t| t.backward)], whole[i], most);
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", key(i, &run.name))
    };
    let stages: String =
        runs.iter().map(|run| fold(&format!("Stages of {}", run.name), &traffic(run))).collect();
    table("Run", runs.iter().enumerate().map(row).collect()) + &stages
}

/// How many steps say what their stages did: at least 1, to divide by.
fn traced(run: &Run) -> u64 {
    run.metrics.iter().filter(|step| !step.stages.is_empty()).count().max(1) as u64
}

/// Forward and backward bytes per step, then sent and received bytes with a bar against the `most`.
fn cells(per_step: [Option<u64>; 2], whole: [Option<u64>; 2], most: u64) -> String {
    let [forward, backward] = per_step.map(bytes);
    let amount = |(name, value): (&str, Option<u64>)| {
        let share = value.unwrap_or(0) as f64 / most.max(1) as f64 * 100.0;
        let bar = format!("<i class=\"amount\" style=\"width:{share:.1}%\"></i>");
        format!("<td data-label=\"{name}\"><span>{}{bar}</span></td>", bytes(value))
    };
    let [sent, received] = [("Sent", whole[0]), ("Received", whole[1])].map(amount);
    format!(
        "<td data-label=\"Activations\">{forward}</td><td data-label=\"Errors\">{backward}</td>{sent}{received}"
    )
}

/// The table around such rows.
fn table(of: &str, rows: String) -> String {
    if rows.is_empty() {
        return "<p>Not measured.</p>\n".to_owned();
    }
    format!(
        "<table class=\"cards words-1\">\n<thead><tr><th>{of}</th><th>Activations</th>\
         <th>Errors</th><th>Sent</th><th>Received</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n"
    )
}
