//! The charts of a comparison: a curve for each case, its mean over the runs with their range as a band.

use super::case::Case;
use super::quantity::{ALL, Form, Look, Of, Quantity};
use super::statistics::{Across, across};
use crate::record::{Drawn, LayerTrace, Step};
use crate::report::Run;
use crate::report::model::alignment;
use crate::report::model::chart::Chart;
use crate::report::model::curve::{Curve, Hue, Point, Style, finite, smooth, window};
use crate::report::model::stages::speeds;
use indexmap::IndexSet;

/// The most points of a curve, and of one in a small chart.
const POINTS: usize = 500;
const FEW_POINTS: usize = 120;
/// The most layers that have small charts of their own.
const LAYERS: usize = 64;

/// A chart, and the end of its picture's name.
pub struct Drawing {
    pub file: &'static str,
    pub section: Section,
    pub chart: Chart,
}

/// Where a chart stands on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Learning,
    Alignment,
    Time,
}

/// A quantity in every layer, in small charts.
pub struct Grid {
    pub title: &'static str,
    pub file: &'static str,
    pub charts: Vec<Chart>,
    /// The number of layers that have no chart here.
    pub left_out: usize,
}

/// The charts of all quantities that some run has.
pub fn drawings(cases: &[Case]) -> Vec<Drawing> {
    let drawn = ALL.iter().filter_map(|quantity| Some((quantity, quantity.chart.as_ref()?)));
    let drawing = |(quantity, look): (&'static Quantity, &'static Look)| Drawing {
        file: look.file,
        section: match (&quantity.of, look.form) {
            (Of::Layer(_), _) => Section::Alignment,
            (_, Form::Speed) => Section::Time,
            _ => Section::Learning,
        },
        chart: whole(cases, quantity, look),
    };
    drawn.map(drawing).filter(|drawing| !drawing.chart.curves.is_empty()).collect()
}

/// The small charts of each quantity of layers that some run measured.
pub fn grids(cases: &[Case]) -> Vec<Grid> {
    let layers = layers(cases);
    let of_layers = ALL.iter().filter_map(|quantity| match (&quantity.of, &quantity.chart) {
        (Of::Layer(of), Some(look)) => Some((*of, look)),
        _ => None,
    });
    let grid = |(of, look): (Measured, &'static Look)| {
        let charts = layers.iter().take(LAYERS).map(|layer| small(cases, layer, of, look));
        let (title, file, left_out) = (look.title, look.file, layers.len().saturating_sub(LAYERS));
        Grid { title, file, charts: charts.collect(), left_out }
    };
    let some = |grid: &Grid| grid.charts.iter().any(|chart| !chart.curves.is_empty());
    of_layers.map(grid).filter(some).collect()
}

/// The first and the last step of all runs.
pub fn steps(cases: &[Case]) -> [u64; 2] {
    let steps =
        || cases.iter().flat_map(|case| &case.runs).flat_map(|run| &run.metrics).map(|step| step.step);
    [steps().min().unwrap_or(0), steps().max().unwrap_or(0)]
}

/// The names of all layers that were measured, in the order in which they first appear.
pub fn layers(cases: &[Case]) -> IndexSet<&str> {
    cases.iter().flat_map(|case| &case.runs).flat_map(alignment::layers).collect()
}

/// The number that is read of a layer.
type Measured = fn(&LayerTrace) -> Option<f64>;

fn whole(cases: &[Case], quantity: &Quantity, look: &Look) -> Chart {
    let style = if look.form == Form::Marked { Style::Marked } else { Style::Line };
    let curves = curves(cases, style, POINTS, |run| points(run, quantity, look));
    let title = match quantity.of {
        Of::Layer(_) => format!("{}, mean of the layers", look.title),
        _ => look.title.to_owned(),
    };
    let chart = Chart::new(title, look.unit, curves);
    match look.form {
        // The axis need not begin at 0 where nothing diverges.
        Form::Loss => Chart { at_least: None, ..chart.cut_off() },
        Form::Ratio => ratio(chart),
        _ => chart,
    }
}

fn small(cases: &[Case], layer: &str, of: Measured, look: &Look) -> Chart {
    let at = |step: &Step| Some((step.step, of(step.layers.iter().find(|one| one.name == layer)?)));
    let curves = curves(cases, Style::Line, FEW_POINTS, |run| finite(run.metrics.iter().filter_map(at)));
    let chart = Chart { small: true, ..Chart::new(layer, look.unit, curves) };
    if look.form == Form::Ratio { ratio(chart) } else { chart }
}

fn ratio(chart: Chart) -> Chart {
    Chart { guide: Some(1.0), ..chart }.log_if_wide()
}

/// A curve for each case.
fn curves(cases: &[Case], style: Style, limit: usize, points: impl Fn(&Run) -> Vec<Point>) -> Vec<Curve> {
    let curve = |(index, case): (usize, &Case)| {
        let runs: Vec<Vec<Point>> = case.runs.iter().map(&points).collect();
        let several = runs.iter().filter(|points| !points.is_empty()).count() > 1;
        let all = across(&runs);
        let mean: Vec<Point> = all.iter().map(|at| (at.step, at.mean)).collect();
        let curve = Curve::new(&case.name, Hue::Run(index), style, &mean, limit);
        let range = |step| {
            let at = all.partition_point(|at| at.step < step);
            all.get(at).map_or([f64::NAN; 2], |Across { low, high, .. }| [*low, *high])
        };
        if several { curve.band(range) } else { curve }
    };
    cases.iter().enumerate().map(curve).collect()
}

/// The points of a run as its curve has them.
fn points(run: &Run, quantity: &Quantity, look: &Look) -> Vec<Point> {
    let percent =
        |value: Option<f64>| value.map(|value| if look.unit == "%" { value * 100.0 } else { value });
    let points = match quantity.of {
        Of::Step(of) => finite(run.metrics.iter().map(|step| (step.step, percent(of(step))))),
        Of::Mean(_, of) => finite(Drawn::all(&run.metrics).iter().map(|one| (one.step, percent(of(one))))),
        Of::Test(of) => finite(run.evaluations.iter().map(|one| (one.step, percent(of(one))))),
        Of::Layer(of) => finite(run.metrics.iter().map(|step| (step.step, mean(&step.layers, of)))),
    };
    match look.form {
        Form::Loss | Form::Smoothed => smooth(&points, window(points.len())),
        Form::Speed => speeds(run),
        Form::Marked | Form::Plain | Form::Signal | Form::Ratio => points,
    }
}

/// The mean over the layers.
fn mean(layers: &[LayerTrace], of: Measured) -> Option<f64> {
    let values: Vec<f64> = layers.iter().filter_map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, run};
    use super::*;

    #[test]
    fn a_curve_is_the_mean_of_a_case_and_its_band_the_range() {
        let mut other = run("b");
        other.metrics.iter_mut().for_each(|step| step.loss = step.loss.map(|loss| loss + 1.0));
        other.evaluations[0].top1 = Some(0.25);
        let drawn = drawings(&[case("two", vec![run("a"), other]), case("one", vec![run("c")])]);
        let chart = |file| &drawn.iter().find(|drawing| drawing.file == file).unwrap().chart;
        let [two, one] = &chart("loss").curves[..] else { panic!("two curves") };
        assert_eq!(
            (two.name.as_str(), two.x.as_slice(), two.y.as_slice()),
            ("two", &[1, 2, 3][..], &[3.0, 2.75, 2.5][..])
        );
        assert_eq!((two.low.as_slice(), two.high.as_slice()), (&[2.5, 2.25, 2.0][..], &[3.5, 3.25, 3.0][..]));
        assert_eq!((one.y.as_slice(), one.low.len()), (&[2.5, 2.25, 2.0][..], 0));
        let accuracy = &chart("test-accuracy").curves[0];
        assert_eq!((accuracy.y[0], accuracy.low[0], accuracy.high[0]), (50.0, 25.0, 75.0));
        assert_eq!(chart("angle").curves[0].y, [50.625], "the mean of two layers");
        assert!(drawn.iter().all(|drawing| drawing.section != Section::Time), "no step has a speed");
    }

    #[test]
    fn a_layer_has_a_small_chart_and_very_many_do_not() {
        let few = grids(&[case("c", vec![run("a")])]);
        assert_eq!((few[0].charts.len(), few[0].charts[0].title.as_str(), few[0].left_out), (2, "fc,1", 0));
        let mut deep = run("deep");
        let layer = deep.metrics[1].layers[0].clone();
        let named = |i: usize| LayerTrace { name: format!("l{i}"), ..layer.clone() };
        deep.metrics[1].layers = (0..70).map(named).collect();
        let many = grids(&[case("c", vec![deep])]);
        assert_eq!((many[0].charts.len(), many[0].left_out), (64, 6));
    }
}
