//! How B came to stand to W, in every layer: the angle between them and the ratio of their norms.
//!
//! One run's layers share a chart, coloured by depth. Of several runs every layer gets a small chart of
//! its own, in which the runs meet.

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Point, Style, finite};
use super::run::{LayerTrace, Run};
use super::text::{NONE, count, escape, fold, key, number};

type Quantity = fn(&LayerTrace) -> Option<f64>;

const ANGLE: Quantity = |layer| layer.angle_deg;
const RATIO: Quantity = |layer| layer.norm_ratio;

/// The charts of both quantities, and where they ended as a table.
pub(super) fn section(runs: &[Run], charts: &mut Charts) -> String {
    let layers = layers(runs);
    let body = match runs {
        _ if layers.is_empty() => "<p>No step of this page's runs measured W against B.</p>\n".to_owned(),
        [run] => {
            let angle = Chart::new("Angle between W and B", "°", by_depth(run, &layers, ANGLE));
            let ratio = Chart::new("‖B‖ / ‖W‖", "", by_depth(run, &layers, RATIO));
            pair(angle, ratio, charts)
        }
        runs => {
            let angle = Chart::new("Angle between W and B, mean of the layers", "°", means(runs, ANGLE));
            let ratio = Chart::new("‖B‖ / ‖W‖, mean of the layers", "", means(runs, RATIO));
            let every = |unit, quantity| {
                let chart = |layer: &&str| Chart::new(*layer, unit, by_run(runs, layer, quantity));
                layers.iter().map(chart).collect::<Vec<_>>()
            };
            let angles = every("°", ANGLE).into_iter().map(angles).collect();
            let ratios = every("", RATIO).into_iter().map(ratios).collect();
            let whole = pair(angle, ratio, charts);
            let angles = grid("Angle in every layer", runs, angles, charts);
            whole + &angles + &grid("‖B‖ / ‖W‖ in every layer", runs, ratios, charts)
        }
    };
    format!(
        "<section>\n<h2>Alignment</h2>\n<p>90° is no relation, 0° is the direction that backpropagation would use.</p>\n\
         {body}{}</section>\n",
        table(runs, &layers)
    )
}

fn pair(angle: Chart, ratio: Chart, charts: &mut Charts) -> String {
    let (angle, ratio) = (charts.figure(angles(angle)), charts.figure(ratios(ratio)));
    format!("<div class=\"charts\">\n{angle}{ratio}</div>\n")
}

fn grid(title: &str, runs: &[Run], every: Vec<Chart>, charts: &mut Charts) -> String {
    let keys: String = runs.iter().enumerate().map(|(i, run)| key(i, &run.name)).collect();
    let figures: String = every.into_iter().map(|chart| charts.figure(chart.small())).collect();
    format!("<h3>{title}</h3>\n<p class=\"keys\">{keys}</p>\n<div class=\"grid\">\n{figures}</div>\n")
}

fn angles(mut chart: Chart) -> Chart {
    (chart.at_least, chart.at_most) = (Some([0.0, 90.0]), Some([0.0, 180.0]));
    chart
}

fn ratios(mut chart: Chart) -> Chart {
    (chart.at_least, chart.guide) = (Some([0.9, 1.1]), Some(1.0));
    chart.log_if_wide()
}

/// The names of all layers that were measured, in the order in which they first appear.
fn layers(runs: &[Run]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for run in runs {
        let Some(measured) = run.metrics.iter().find(|step| !step.layers.is_empty()) else { continue };
        for layer in &measured.layers {
            if !names.contains(&layer.name.as_str()) {
                names.push(&layer.name);
            }
        }
    }
    names
}

fn points(run: &Run, layer: &str, quantity: Quantity) -> Vec<Point> {
    finite(run.metrics.iter().filter_map(|step| {
        let trace = step.layers.iter().find(|l| l.name == layer)?;
        Some((step.step, quantity(trace)))
    }))
}

fn by_depth(run: &Run, layers: &[&str], quantity: Quantity) -> Vec<Curve> {
    let last = layers.len().saturating_sub(1).max(1) as f64;
    let curve = |(i, layer): (usize, &&str)| {
        let hue = Hue::Depth(i as f64 / last);
        Curve::new(layer, hue, Style::Line, &points(run, layer, quantity), 1000)
    };
    layers.iter().enumerate().map(curve).collect()
}

fn by_run(runs: &[Run], layer: &str, quantity: Quantity) -> Vec<Curve> {
    let curve = |(i, run): (usize, &Run)| {
        Curve::new(&run.name, Hue::Run(i), Style::Line, &points(run, layer, quantity), 300)
    };
    runs.iter().enumerate().map(curve).collect()
}

fn means(runs: &[Run], quantity: Quantity) -> Vec<Curve> {
    let curve = |(i, run): (usize, &Run)| {
        let points = finite(run.metrics.iter().map(|step| (step.step, mean(&step.layers, quantity))));
        Curve::new(&run.name, Hue::Run(i), Style::Line, &points, 1000)
    };
    runs.iter().enumerate().map(curve).collect()
}

/// The mean over those layers that have the quantity.
fn mean(layers: &[LayerTrace], quantity: Quantity) -> Option<f64> {
    let values: Vec<f64> = layers.iter().filter_map(quantity).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The mean over the layers of their angles at the end.
pub(super) fn mean_angle(run: &Run) -> Option<f64> {
    let layers = layers(std::slice::from_ref(run));
    let angles: Vec<f64> = layers.into_iter().filter_map(|layer| last(run, layer, ANGLE)).collect();
    (!angles.is_empty()).then(|| angles.iter().sum::<f64>() / angles.len() as f64)
}

/// The quantity where the run last measured it.
fn last(run: &Run, layer: &str, quantity: Quantity) -> Option<f64> {
    points(run, layer, quantity).last().map(|point| point.1)
}

/// The last angle and ratio of every layer and run, folded away.
fn table(runs: &[Run], layers: &[&str]) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let row = |layer: &&str| {
        let last = |run, quantity, unit| number(last(run, layer, quantity), 2, unit);
        let cells =
            runs.iter().map(|r| format!("<td>{}</td><td>{}</td>", last(r, ANGLE, "°"), last(r, RATIO, "")));
        let (cells, parameters) = (cells.collect::<String>(), parameters(runs, layer));
        format!("<tr><th scope=\"row\">{}</th><td>{parameters}</td>{cells}</tr>\n", escape(layer))
    };
    let rows: String = layers.iter().map(row).collect();
    let names = runs.iter().enumerate().map(|(i, r)| format!("<th colspan=\"2\">{}</th>", key(i, &r.name)));
    let names = match runs {
        [_] => String::new(),
        _ => format!("<tr><th></th><th></th>{}</tr>\n", names.collect::<String>()),
    };
    let quantities = "<th>Angle</th><th>‖B‖ / ‖W‖</th>".repeat(runs.len());
    fold(
        "Layers at the end as numbers",
        &format!(
            "<table class=\"words-1\">\n<thead>{names}<tr><th>Layer</th><th>Parameters</th>{quantities}</tr></thead>\n\
             <tbody>\n{rows}</tbody>\n</table>\n"
        ),
    )
}

/// How many parameters the layer has, as the first run tells that knows it.
fn parameters(runs: &[Run], layer: &str) -> String {
    let mut layers = runs.iter().flat_map(|run| &run.summary.nodes).flat_map(|node| &node.layers);
    layers.find_map(|l| l.parameters.filter(|_| l.name == layer)).map_or_else(|| NONE.to_owned(), count)
}
