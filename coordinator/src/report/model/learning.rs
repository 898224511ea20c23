//! The learning section: loss and accuracy of every step, smoothed, and of every evaluation.

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Style, finite, smooth, window};
use crate::record::{Evaluation, Step};
use crate::report::Run;

/// The most points of a curve with every step, and of a smoothed curve.
const LIMIT: [usize; 2] = [2000, 1000];

/// Loss and accuracy as curves.
pub struct Learning {
    /// The number of steps in the averages of the longest run's curves.
    pub window: usize,
    pub loss: usize,
    pub accuracy: usize,
    /// Whether any run was evaluated on the test set.
    pub evaluated: bool,
}

impl Learning {
    pub fn of(runs: &[Run], charts: &mut Charts) -> Self {
        let loss = curves(runs, |step| step.loss, |evaluation| evaluation.loss);
        let hundred = |fraction: Option<f64>| fraction.map(|f| f * 100.0);
        let accuracy = curves(runs, |step| hundred(step.accuracy), |evaluation| hundred(evaluation.top1));
        let accuracy = Chart { at_most: Some([0.0, 100.0]), ..Chart::new("Accuracy", "%", accuracy) };
        Self {
            window: window(runs.iter().map(|run| run.metrics.len()).max().unwrap_or(0)),
            loss: charts.add(Chart::new("Loss", "", loss).cut_off()),
            accuracy: charts.add(accuracy),
            evaluated: runs.iter().any(|run| !run.evaluations.is_empty()),
        }
    }
}

/// The curves of a quantity of every run: smoothed and evaluated, and for a single run each step as well.
fn curves(
    runs: &[Run],
    training: impl Fn(&Step) -> Option<f64>,
    test: impl Fn(&Evaluation) -> Option<f64>,
) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let each = finite(run.metrics.iter().map(|s| (s.step, training(s))));
        let evaluated = finite(run.evaluations.iter().map(|e| (e.step, test(e))));
        let window = window(each.len());
        let smoothed = smooth(&each, window);
        if let [_] = runs {
            let name = if window > 1 { "training, smoothed" } else { "training" };
            if window > 1 {
                curves.push(Curve::new("each step", Hue::Run(0), Style::Faint, &each, LIMIT[0]));
            }
            curves.push(Curve::new(name, Hue::Run(0), Style::Line, &smoothed, LIMIT[1]));
            curves.push(Curve::new("test", Hue::Run(1), Style::Marked, &evaluated, LIMIT[1]));
        } else {
            let line = Curve::new(&run.name, Hue::Run(i), Style::Line, &smoothed, LIMIT[1]);
            let points = Curve::new(&run.name, Hue::Run(i), Style::Marked, &evaluated, LIMIT[1]);
            curves.extend([line.part("training"), points.part("test")]);
        }
    }
    curves
}
