//! The alignment section: the angle between B and W in every layer, and the ratio of their norms.
//!
//! The layers of a single run share a chart, coloured by depth. With several runs every layer gets a small chart of
//! its own, with a curve per run.

use std::slice::from_ref;

use indexmap::IndexSet;

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Point, Style, finite};
use super::settings::Settings;
use super::text::{NONE, count, number, plural};
use crate::record::{LayerTrace, Step, TWO_HOSTS};
use crate::report::Run;
use crate::rule::Name;
use proto::spec::stage::Half;

/// A number that a step records for a layer, and the look of its charts.
struct Quantity {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    of: fn(&LayerTrace) -> Option<f64>,
    axis: fn(Chart) -> Chart,
}

static ANGLE: Quantity = Quantity {
    name: "Angle",
    title: "Angle between W and B",
    unit: "°",
    of: |layer| layer.angle_deg,
    axis: |chart| Chart { at_least: Some([0.0, 90.0]), at_most: Some([0.0, 180.0]), ..chart },
};

static RATIO: Quantity = Quantity {
    name: "‖B‖ / ‖W‖",
    title: "‖B‖ / ‖W‖",
    unit: "",
    of: |layer| layer.norm_ratio,
    axis: |chart| Chart { at_least: Some([0.9, 1.1]), guide: Some(1.0), ..chart }.log_if_wide(),
};

/// Both quantities as charts, and their last values as rows of a table.
pub struct Alignment<'a> {
    /// The chart of each quantity; none if no step measured B against W.
    pub charts: Vec<usize>,
    /// The charts of each quantity by layer, for several runs.
    pub grids: Vec<Grid>,
    pub layers: Vec<Layer<'a>>,
    /// The sentences on layers whose W and B are on two hosts.
    pub split: Option<Split>,
}

/// The layers of all runs whose W and B are on two hosts, and the command that compares their saved state.
pub struct Split {
    pub layers: String,
    /// Whether one of them is under Kolen-Pollack, whose law is not checked there.
    pub law: bool,
    pub command: String,
}

/// One quantity in every layer.
pub struct Grid {
    pub quantity: &'static str,
    pub charts: Vec<usize>,
}

/// One layer, with its last angle and ratio in every run.
pub struct Layer<'a> {
    pub name: &'a str,
    pub parameters: String,
    pub ends: Vec<[String; 2]>,
}

impl<'a> Alignment<'a> {
    pub fn of(runs: &'a [Run], charts: &mut Charts) -> Self {
        let layers = layers(runs);
        let measured = layers.iter().any(|layer| !runs.iter().all(|run| is_split(run, layer)));
        let shown = if measured { vec![&ANGLE, &RATIO] } else { Vec::new() };
        let whole = shown.iter().map(|quantity| charts.add(quantity.whole(runs, &layers))).collect();
        let grid = |quantity: &&Quantity| Grid {
            quantity: quantity.name,
            charts: layers.iter().map(|layer| charts.add(quantity.of_layer(runs, layer))).collect(),
        };
        let grids = if runs.len() > 1 { shown.iter().map(grid).collect() } else { Vec::new() };
        let end = |run, layer, quantity: &Quantity| number(&quantity.last(run, layer), 2, quantity.unit);
        let layer = |name: &&'a str| Layer {
            name,
            parameters: parameters(runs, name),
            ends: runs.iter().map(|run| [&ANGLE, &RATIO].map(|quantity| end(run, name, quantity))).collect(),
        };
        Self {
            charts: whole,
            grids,
            layers: layers.iter().map(layer).collect(),
            split: Split::of(runs, &layers),
        }
    }
}

impl Split {
    fn of(runs: &[Run], layers: &IndexSet<&str>) -> Option<Self> {
        let split = |run: &Run| layers.iter().any(|layer| is_split(run, layer));
        let first = runs.iter().find(|run| split(run))?;
        let count = layers.iter().filter(|layer| runs.iter().any(|run| is_split(run, layer))).count();
        let law = |run: &Run| layers.iter().any(|layer| is_split(run, layer) && has_law(run, layer));
        Some(Self {
            layers: plural(count as u64, "layer"),
            law: runs.iter().any(law),
            command: format!("layer-node angles {}", folders(first)),
        })
    }
}

/// The flags with the folders of a run's state: one folder for all local nodes, or the two of a stage that is split.
fn folders(run: &Run) -> String {
    let nodes = &run.summary.nodes;
    // Only local nodes have the memory of their processes measured.
    if nodes.iter().any(|node| node.memory_peak_bytes.is_some()) {
        return format!("--state-dir {}/state", run.name);
    }
    let stage = nodes.iter().find(|node| node.half == Half::Backward).map_or(0, |node| node.stage);
    format!("--state-dir stage-{stage} --state-dir stage-{stage}-backward")
}

/// Whether a layer of a run is under Kolen-Pollack.
fn has_law(run: &Run, layer: &str) -> bool {
    let settings = Settings::of(&run.config_toml);
    let own = [format!("rule.layers.{layer}.name"), format!("rule.layers.\"{layer}\".name")];
    let name = own.iter().find_map(|key| settings.name(key)).or(settings.name("rule.name"));
    name.is_some_and(|name| name == Name::KolenPollack.to_string())
}

/// Whether a layer of a run has its W and B on two hosts.
fn is_split(run: &Run, layer: &str) -> bool {
    let measured = run.metrics.iter().flat_map(|step| &step.layers).find(|trace| trace.name == layer);
    measured.is_some_and(|trace| trace.no_angle.as_deref() == Some(TWO_HOSTS))
}

impl Quantity {
    /// The chart of a quantity: of every layer for a single run, of the layers' mean for several runs.
    fn whole(&self, runs: &[Run], layers: &IndexSet<&str>) -> Chart {
        let (title, curves) = match runs {
            [run] => {
                let last = (layers.len() - 1).max(1) as f64;
                let curve = |(i, layer): (usize, &&str)| {
                    let hue = Hue::Depth(i as f64 / last);
                    Curve::new(layer, hue, Style::Line, &self.points(run, layer), 1000)
                };
                (self.title.to_owned(), layers.iter().enumerate().map(curve).collect())
            }
            runs => {
                let mean = |layers: &[LayerTrace]| mean(layers.iter().filter_map(self.of));
                let means = |run: &Run| finite(run.metrics.iter().map(|s| (s.step, mean(&s.layers))));
                (format!("{}, mean of the layers", self.title), Curve::of_runs(runs, 1000, means))
            }
        };
        (self.axis)(Chart::new(title, self.unit, curves))
    }

    /// The small chart of one layer.
    fn of_layer(&self, runs: &[Run], layer: &str) -> Chart {
        let curves = Curve::of_runs(runs, 300, |run| self.points(run, layer));
        Chart { small: true, ..(self.axis)(Chart::new(layer, self.unit, curves)) }
    }

    fn points(&self, run: &Run, layer: &str) -> Vec<Point> {
        finite(run.metrics.iter().filter_map(|step| {
            let trace = step.layers.iter().find(|l| l.name == layer)?;
            Some((step.step, (self.of)(trace)))
        }))
    }

    /// The quantity at the last measurement in a run. `None` if that measurement found none, or if it is one of
    /// weights that others have replaced since.
    fn last(&self, run: &Run, layer: &str) -> Option<f64> {
        let mut layers = run.summary.nodes.iter().flat_map(|node| &node.layers);
        if layers.any(|l| l.name == layer && l.no_angle.is_some() && l.angle_step.is_none()) {
            return None;
        }
        let of_layer = |step: &Step| step.layers.iter().find(|l| l.name == layer).map(self.of);
        run.metrics.iter().rev().find_map(of_layer)?
    }
}

/// The words below the mean angle of a run.
pub fn angle_note(run: &Run) -> &'static str {
    let layers = layers(from_ref(run));
    match !layers.is_empty() && layers.iter().all(|layer| is_split(run, layer)) {
        true => TWO_HOSTS,
        false => "mean of the layers, at the end",
    }
}

/// The mean over the layers of their last angles.
pub fn mean_angle(run: &Run) -> Option<f64> {
    mean(layers(from_ref(run)).into_iter().filter_map(|layer| ANGLE.last(run, layer)))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The names of all layers that were measured, in the order in which they first appear.
fn layers(runs: &[Run]) -> IndexSet<&str> {
    let measured = runs.iter().filter_map(|run| run.metrics.iter().find(|step| !step.layers.is_empty()));
    measured.flat_map(|step| &step.layers).map(|layer| layer.name.as_str()).collect()
}

/// The number of the layer's parameters, from the first run that records it.
fn parameters(runs: &[Run], layer: &str) -> String {
    let mut layers = runs.iter().flat_map(|run| &run.summary.nodes).flat_map(|node| &node.layers);
    layers
        .find_map(|l| l.parameters.filter(|_| l.name == layer))
        .map_or_else(|| NONE.to_owned(), |parameters| count(&parameters))
}
