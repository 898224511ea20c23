//! The tables of the page: what came of each case, as mean ± standard deviation over its runs.

use super::case::Case;
use super::charts::layers;
use super::quantity::{ALL, Form, Of, Quantity};
use super::statistics::{Mean, spread};
use crate::record::{LayerTrace, Step};
use crate::report::Run;
use crate::report::model::alignment;
use crate::report::model::stages::{Time, Traffic};
use crate::report::text::{Bytes, NONE, duration, number, rate};

/// The result of a case, in words.
pub struct Outcome {
    /// The runs and their seeds.
    pub runs: usize,
    pub top1: String,
    pub top5: String,
    pub test_loss: String,
    pub speed: String,
    pub time: String,
}

impl Outcome {
    pub fn of(case: &Case) -> Self {
        let mean = |of: &dyn Fn(&Run) -> Option<f64>| Mean::of(case.runs.iter().map(of));
        let percent = |of: fn(&Run) -> Option<f64>| {
            said(mean(&|run| of(run).map(|f| f * 100.0)), |value| format!("{value:.1}"), "%")
        };
        Self {
            runs: case.runs.len(),
            top1: percent(|run| run.summary.test_top1),
            top5: percent(|run| run.summary.test_top5),
            test_loss: said(mean(&|run| run.evaluations.last()?.loss), |value| format!("{value:.4}"), ""),
            speed: said(mean(&|run| run.summary.images_per_s), |value| rate(&Some(value)), ""),
            time: said(mean(&|run| run.summary.seconds), |value| duration(&Some(value)), ""),
        }
    }
}

/// `MEAN ± DEVIATION UNIT`, the mean alone of one run, or a dash.
fn said(mean: Option<Mean>, number: impl Fn(f64) -> String, unit: &str) -> String {
    match mean {
        None => NONE.to_owned(),
        Some(Mean { mean, deviation: None }) => number(mean) + unit,
        Some(Mean { mean, deviation: Some(deviation) }) => {
            format!("{} ± {}{unit}", number(mean), number(deviation))
        }
    }
}

/// A quantity of the layers at the end: for each case its least, middle and largest value over the layers.
pub struct Ends {
    pub title: &'static str,
    pub cases: Vec<[String; 3]>,
}

/// The ends of all quantities of layers that some case has. The value of a layer is the mean over the runs.
pub fn ends(cases: &[Case]) -> Vec<Ends> {
    let layers = layers(cases);
    let of_quantity = |quantity: &'static Quantity| {
        let (Of::Layer(of), Some(look)) = (&quantity.of, &quantity.chart) else { return None };
        let last = |run: &Run, layer: &str| match look.form {
            Form::Signal => latest(run, layer, *of),
            _ => alignment::last(run, layer, *of),
        };
        let ends: Vec<_> =
            cases.iter().map(|case| spread(means(case, layers.iter().copied(), last))).collect();
        let shown = |ends: &Option<[f64; 3]>| match ends {
            Some(ends) => ends.map(|end| number(&Some(end), if look.unit == "°" { 1 } else { 2 }, look.unit)),
            None => [NONE, NONE, NONE].map(str::to_owned),
        };
        let some = ends.iter().any(Option::is_some);
        some.then(|| Ends { title: look.title, cases: ends.iter().map(shown).collect() })
    };
    ALL.iter().filter_map(of_quantity).collect()
}

/// A quantity of a layer at the last step that measured it.
fn latest(run: &Run, layer: &str, of: fn(&LayerTrace) -> Option<f64>) -> Option<f64> {
    let measured = |step: &Step| of(step.layers.iter().find(|one| one.name == layer)?);
    run.metrics.iter().rev().find_map(measured)
}

/// The value of each layer at its last measurement, where it has one.
fn means<'a>(
    case: &Case,
    layers: impl Iterator<Item = &'a str>,
    last: impl Fn(&Run, &str) -> Option<f64>,
) -> Vec<f64> {
    let mean = |layer| Mean::of(case.runs.iter().map(|run| last(run, layer)));
    layers.filter_map(mean).map(|mean| mean.mean).collect()
}

/// How the nodes of a case spent their time, and what they sent: means over the nodes of all runs.
pub struct Work {
    /// Computing, waiting and sending, in per cent of the time.
    pub shares: [String; 3],
    pub activations: Bytes,
    pub errors: Bytes,
    pub sent: Bytes,
    pub received: Bytes,
    pub memory: Bytes,
}

impl Work {
    pub fn of(case: &Case) -> Self {
        let bars: Vec<_> = case.runs.iter().flat_map(|run| Time::of(run).bars).collect();
        let share = |part: usize| {
            let mean = Mean::of(bars.iter().map(|(_, parts)| Some(parts[part].share)));
            number(&mean.map(|mean| mean.mean), 0, "%")
        };
        let traffic: Vec<Traffic> = case.runs.iter().map(Traffic::of_run).collect();
        let bytes = |of: fn(&Traffic) -> Bytes| {
            let mean = Mean::of(traffic.iter().map(|row| of(row).0.map(|bytes| bytes as f64)));
            Bytes(mean.map(|mean| mean.mean.round() as u64))
        };
        Self {
            shares: [0, 1, 2].map(share),
            activations: bytes(|row| row.activations),
            errors: bytes(|row| row.errors),
            sent: bytes(|row| row.sent),
            received: bytes(|row| row.received),
            memory: bytes(|row| row.memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, run};
    use super::*;

    #[test]
    fn a_case_has_the_mean_and_the_deviation_of_its_runs() {
        let mut other = run("b");
        other.summary.test_top1 = Some(0.71);
        other.summary.seconds = Some(75.0);
        let outcome = Outcome::of(&case("c", vec![run("a"), other.clone()]));
        assert_eq!((outcome.runs, outcome.top1.as_str(), outcome.top5.as_str()), (2, "73.0 ± 2.8%", "–"));
        assert_eq!((outcome.test_loss.as_str(), outcome.time.as_str()), ("0.5000 ± 0.0000", "1 min 15 s"));
        assert_eq!(Outcome::of(&case("c", vec![other])).top1, "71.0%");
    }

    #[test]
    fn angles_are_a_range_over_the_layers() {
        let mut other = run("b");
        other.metrics[1].layers[1].angle_deg = Some(40.0);
        let mut none = run("none");
        none.metrics[1].layers.clear();
        let found = ends(&[case("c", vec![run("a"), other]), case("none", vec![none])]);
        let titles: Vec<_> = found.iter().map(|ends| ends.title).collect();
        assert_eq!(titles, ["Angle between W and B", "‖B‖ / ‖W‖"]);
        assert_eq!(found[0].cases[0], ["35.0°", "53.1°", "71.2°"], "30° and 40° are 35° on average");
        assert_eq!(found[0].cases[1], ["–", "–", "–"]);
    }
}
