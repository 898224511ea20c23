//! How the network learned: loss and accuracy of every step, smoothed, and of every evaluation.

use super::chart::{Chart, Charts};
use super::curve::{Curve, Hue, Style, finite, smooth, window};
use super::run::{Evaluation, Run, Step};
use super::text::{count, fold, key, number, percent};

/// Points of a curve that shows every step, and of a smoothed one.
const LIMIT: [usize; 2] = [2000, 1000];

/// Loss and accuracy, and the evaluations as a table.
pub(super) fn section(runs: &[Run], charts: &mut Charts) -> String {
    let loss = curves(runs, |step| step.loss, |evaluation| evaluation.loss);
    let top1 = |evaluation: &Evaluation| evaluation.top1.map(|f| f * 100.0);
    let accuracy = curves(runs, |step| step.accuracy.map(|f| f * 100.0), top1);
    let loss = charts.figure(Chart::new("Loss", "", loss).cut_off());
    let mut chart = Chart::new("Accuracy", "%", accuracy);
    chart.at_most = Some([0.0, 100.0]);
    let accuracy = charts.figure(chart);
    let longest = runs.iter().map(|run| run.metrics.len()).max().unwrap_or(0);
    let average = match window(longest) {
        1 => "All curves run over the training steps. ".to_owned(),
        steps => {
            format!("All curves run over the training steps; firm lines are averages of about {steps}. ")
        }
    };
    let about = format!("{average}<span class=\"hover\">Drag to zoom, double-click to see all again.</span>");
    format!(
        "<section>\n<h2>Learning</h2>\n<p>{about}</p>\n<div class=\"charts\">\n{loss}{accuracy}</div>\n{}</section>\n",
        table(runs)
    )
}

/// The curve of a quantity of every run: smoothed and evaluated, and for a single run each step as well.
fn curves(
    runs: &[Run],
    training: impl Fn(&Step) -> Option<f64>,
    test: impl Fn(&Evaluation) -> Option<f64>,
) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let each = finite(run.metrics.iter().map(|s| (s.step, training(s))));
        let evaluated = finite(run.evaluations.iter().map(|e| (e.step, test(e))));
        let smoothed = smooth(&each, window(each.len()));
        if let [_] = runs {
            let name = if window(each.len()) > 1 { "training, smoothed" } else { "training" };
            if window(each.len()) > 1 {
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

/// Every evaluation of every run, folded away.
fn table(runs: &[Run]) -> String {
    let row = |i: usize, run: &Run, e: &Evaluation| {
        let run = if runs.len() > 1 {
            format!("<th scope=\"row\">{}</th>", key(i, &run.name))
        } else {
            String::new()
        };
        let (step, loss) = (count(e.step), number(e.loss, 4, ""));
        let (top1, top5) = (percent(e.top1), percent(e.top5));
        format!(
            "<tr>{run}<td>{}</td><td>{step}</td><td>{loss}</td><td>{top1}</td><td>{top5}</td></tr>\n",
            e.epoch + 1
        )
    };
    let rows =
        runs.iter().enumerate().flat_map(|(i, run)| run.evaluations.iter().map(move |e| row(i, run, e)));
    let rows: String = rows.collect();
    if rows.is_empty() {
        return "<p>The network was not evaluated on the test set.</p>\n".to_owned();
    }
    let run = if runs.len() > 1 { "<th>Run</th>" } else { "" };
    let words = if runs.len() > 1 { "words-1" } else { "words-0" };
    fold(
        "Evaluations as numbers",
        &format!(
            "<table class=\"{words}\">\n<thead><tr>{run}<th>Epoch</th><th>Step</th><th>Test loss</th><th>Top-1</th>\
             <th>Top-5</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        ),
    )
}
