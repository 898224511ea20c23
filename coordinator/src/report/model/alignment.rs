//! The alignment section: the angle between B and W in every layer, the ratio of their norms, and the angles between
//! their signals where a run measured them.
//!
//! The layers share a chart, coloured by depth.

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
    /// The head of its column.
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    of: fn(&LayerTrace) -> Option<f64>,
    axis: fn(Chart) -> Chart,
}

/// The axis of angles.
fn degrees(chart: Chart) -> Chart {
    Chart { at_least: Some([0.0, 90.0]), at_most: Some([0.0, 180.0]), ..chart }
}

static ANGLE: Quantity = Quantity {
    name: "Angle",
    title: "Angle between W and B",
    unit: "°",
    of: |layer| layer.angle_deg,
    axis: degrees,
};

static RATIO: Quantity = Quantity {
    name: "‖B‖ / ‖W‖",
    title: "‖B‖ / ‖W‖",
    unit: "",
    of: |layer| layer.norm_ratio,
    axis: |chart| Chart { at_least: Some([0.9, 1.1]), guide: Some(1.0), ..chart }.log_if_wide(),
};

static OUTPUTS: Quantity = Quantity {
    name: "Outputs",
    title: "Angle between the outputs through W and B",
    unit: "°",
    of: |layer| layer.output_angle_deg,
    axis: degrees,
};

static ERRORS: Quantity = Quantity {
    name: "Errors",
    title: "Angle between the errors sent by W and B",
    unit: "°",
    of: |layer| layer.error_angle_deg,
    axis: degrees,
};

/// The quantities as charts, and their last values as rows of a table.
pub struct Alignment<'a> {
    /// The heads of the quantities' columns.
    pub names: Vec<&'static str>,
    /// Whether the run measured signals.
    pub signals: bool,
    /// The chart of each quantity; none if no step measured B against W.
    pub charts: Vec<usize>,
    pub layers: Vec<Layer<'a>>,
    /// Whether B·R stands for B in a layer: under product feedback alignment.
    pub product: bool,
    /// The sentences on layers whose W and B are on two hosts.
    pub split: Option<Split>,
}

/// The layers of all runs whose W and B are on two hosts, and the command that compares their saved state.
pub struct Split {
    pub layers: String,
    /// Whether one of them is under Kolen-Pollack's law, which is not checked there.
    pub law: bool,
    pub command: String,
}

/// One layer, with the last value of each quantity.
pub struct Layer<'a> {
    pub name: &'a str,
    pub parameters: String,
    pub ends: Vec<String>,
}

impl<'a> Alignment<'a> {
    pub fn of(run: &'a Run, charts: &mut Charts) -> Self {
        let layers = layers(run);
        let measured = layers.iter().any(|layer| !is_split(run, layer));
        let signals = [&OUTPUTS, &ERRORS].into_iter().filter(|signal| signal.is_in(run));
        let columns: Vec<&Quantity> = [&ANGLE, &RATIO].into_iter().chain(signals).collect();
        let shown = if measured { columns.as_slice() } else { &[] };
        let end = |layer, quantity: &&Quantity| number(&last(run, layer, quantity.of), 2, quantity.unit);
        let layer = |name: &&'a str| Layer {
            name,
            parameters: parameters(run, name),
            ends: columns.iter().map(|quantity| end(name, quantity)).collect(),
        };
        Self {
            names: columns.iter().map(|quantity| quantity.name).collect(),
            signals: columns.len() > 2,
            charts: shown.iter().map(|quantity| charts.add(quantity.chart(run, &layers))).collect(),
            layers: layers.iter().map(layer).collect(),
            product: has_product(run),
            split: Split::of(&[run]),
        }
    }
}

impl Split {
    /// The sentences on `runs`; `None` where no layer is on two hosts.
    pub fn of(runs: &[&Run]) -> Option<Self> {
        let layers: IndexSet<&str> = runs.iter().flat_map(|run| layers(run)).collect();
        let split = |run: &Run| layers.iter().any(|layer| is_split(run, layer));
        let first = runs.iter().find(|run| split(run))?;
        let count = layers.iter().filter(|layer| runs.iter().any(|run| is_split(run, layer))).count();
        let has_law = |run: &Run, layer: &str| Name::LAWFUL.iter().any(|name| has_rule(run, layer, *name));
        let law = |run: &Run| layers.iter().any(|layer| is_split(run, layer) && has_law(run, layer));
        Some(Self {
            layers: plural(count as u64, "layer"),
            law: runs.iter().any(|run| law(run)),
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

/// Whether a measured layer of a run is under product feedback alignment.
pub fn has_product(run: &Run) -> bool {
    layers(run).iter().any(|layer| has_rule(run, layer, Name::ProductFeedbackAlignment))
}

/// Whether a layer of a run is under the rule `rule`.
fn has_rule(run: &Run, layer: &str, rule: Name) -> bool {
    let settings = Settings::of(&run.config_toml);
    let own = [format!("rule.layers.{layer}.name"), format!("rule.layers.\"{layer}\".name")];
    let name = own.iter().find_map(|key| settings.name(key)).or(settings.name("rule.name"));
    name.is_some_and(|name| name == rule.to_string())
}

/// Whether a layer of a run has its W and B on two hosts.
fn is_split(run: &Run, layer: &str) -> bool {
    let measured = run.metrics.iter().flat_map(|step| &step.layers).find(|trace| trace.name == layer);
    measured.is_some_and(|trace| trace.no_angle.as_deref() == Some(TWO_HOSTS))
}

impl Quantity {
    /// The chart of a quantity of every layer.
    fn chart(&self, run: &Run, layers: &IndexSet<&str>) -> Chart {
        let last = (layers.len() - 1).max(1) as f64;
        let curve = |(i, layer): (usize, &&str)| {
            let hue = Hue::Depth(i as f64 / last);
            Curve::new(layer, hue, Style::Line, &self.points(run, layer), 1000)
        };
        let curves = layers.iter().enumerate().map(curve).collect();
        (self.axis)(Chart::new(self.title, self.unit, curves))
    }

    fn points(&self, run: &Run, layer: &str) -> Vec<Point> {
        finite(run.metrics.iter().filter_map(|step| {
            let trace = step.layers.iter().find(|l| l.name == layer)?;
            Some((step.step, (self.of)(trace)))
        }))
    }

    /// Whether a step of the run has the quantity.
    fn is_in(&self, run: &Run) -> bool {
        run.metrics.iter().flat_map(|step| &step.layers).any(|layer| (self.of)(layer).is_some())
    }
}

/// A quantity of a layer at the last measurement in a run. `None` if that measurement found none, or if it is one of
/// weights that others have replaced since.
pub fn last(run: &Run, layer: &str, of: fn(&LayerTrace) -> Option<f64>) -> Option<f64> {
    let mut layers = run.summary.nodes.iter().flat_map(|node| &node.layers);
    if layers.any(|l| l.name == layer && l.no_angle.is_some() && l.angle_step.is_none()) {
        return None;
    }
    let of_layer = |step: &Step| step.layers.iter().find(|l| l.name == layer).map(of);
    run.metrics.iter().rev().find_map(of_layer)?
}

/// The words below the mean angle of a run.
pub fn angle_note(run: &Run) -> &'static str {
    let layers = layers(run);
    match !layers.is_empty() && layers.iter().all(|layer| is_split(run, layer)) {
        true => TWO_HOSTS,
        false => "mean of the layers, at the end",
    }
}

/// The mean over the layers of their last angles.
pub fn mean_angle(run: &Run) -> Option<f64> {
    mean(layers(run).into_iter().filter_map(|layer| last(run, layer, ANGLE.of)))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The names of all layers that were measured, in their order.
pub fn layers(run: &Run) -> IndexSet<&str> {
    let measured = run.metrics.iter().find(|step| !step.layers.is_empty());
    measured.into_iter().flat_map(|step| &step.layers).map(|layer| layer.name.as_str()).collect()
}

/// The number of the layer's parameters.
fn parameters(run: &Run, layer: &str) -> String {
    let mut layers = run.summary.nodes.iter().flat_map(|node| &node.layers);
    let known = layers.find_map(|l| l.parameters.filter(|_| l.name == layer));
    known.map_or_else(|| NONE.to_owned(), |parameters| count(&parameters))
}
