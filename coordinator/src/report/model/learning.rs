//! The learning section: loss and accuracy of every step, smoothed, and of every evaluation.

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Style, finite, smooth, window};
use crate::record::{Drawn, Evaluation, Step};
use crate::report::Run;

/// The most points of a curve with every step, and of a smoothed curve.
const LIMIT: [usize; 2] = [2000, 1000];

/// Loss and accuracy as curves.
pub struct Learning {
    /// The number of steps in the averages of the curves.
    pub window: usize,
    pub loss: usize,
    pub accuracy: usize,
    /// The small charts of the learning rates, where the lines have them.
    pub rates: Vec<usize>,
    /// Whether the run was evaluated on the test set.
    pub evaluated: bool,
}

impl Learning {
    pub fn of(run: &Run, charts: &mut Charts) -> Self {
        let loss = curves(run, |drawn| drawn.loss, |evaluation| evaluation.loss);
        let hundred = |fraction: Option<f64>| fraction.map(|f| f * 100.0);
        let accuracy = curves(run, |drawn| hundred(drawn.accuracy), |evaluation| hundred(evaluation.top1));
        let accuracy = Chart { at_most: Some([0.0, 100.0]), ..Chart::new("Accuracy", "%", accuracy) };
        Self {
            window: window(run.metrics.len()),
            loss: charts.add(Chart::new("Loss", "", loss).cut_off()),
            accuracy: charts.add(accuracy),
            rates: rates(run).into_iter().map(|chart| charts.add(chart)).collect(),
            evaluated: !run.evaluations.is_empty(),
        }
    }
}

/// The charts of the learning rates: one where W and B have the same.
fn rates(run: &Run) -> Vec<Chart> {
    let chart = |of_what: &str, hue, of: fn(&Step) -> Option<f64>| {
        let points = finite(run.metrics.iter().map(|step| (step.step, of(step))));
        let curve = Curve::new("learning rate", Hue::Run(hue), Style::Line, &points, LIMIT[1]);
        let chart = Chart::new(format!("Learning rate of {of_what}"), "", vec![curve]);
        Chart { small: true, at_least: Some([0.0, 0.0]), ..chart }
    };
    let mut charts = match run.metrics.iter().all(|step| step.lr == step.lr_b) {
        true => vec![chart("W and B", 0, |step| step.lr)],
        false => vec![chart("W", 0, |step| step.lr), chart("B", 1, |step| step.lr_b)],
    };
    charts.retain(|chart| !chart.curves.is_empty());
    charts
}

/// The curves of a quantity: each step where it is not the same as smoothed, smoothed, and evaluated.
fn curves(
    run: &Run,
    training: impl Fn(&Drawn) -> Option<f64>,
    test: impl Fn(&Evaluation) -> Option<f64>,
) -> Vec<Curve> {
    let each = finite(Drawn::all(&run.metrics).iter().map(|drawn| (drawn.step, training(drawn))));
    let evaluated = finite(run.evaluations.iter().map(|e| (e.step, test(e))));
    let window = window(each.len());
    let smoothed = smooth(&each, window);
    let name = if window > 1 { "training, smoothed" } else { "training" };
    let mut curves = Vec::new();
    if window > 1 {
        curves.push(Curve::new("each step", Hue::Run(0), Style::Faint, &each, LIMIT[0]));
    }
    curves.push(Curve::new(name, Hue::Run(0), Style::Line, &smoothed, LIMIT[1]));
    curves.push(Curve::new("test", Hue::Run(1), Style::Marked, &evaluated, LIMIT[1]));
    curves
}
