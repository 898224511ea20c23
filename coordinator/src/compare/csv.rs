//! The CSV of a comparison: tidy, a row for each run, step and series (RFC 4180).

use super::case::Case;
use super::quantity::{ALL, Of, Quantity};
use super::settings;
use crate::report::Run;
use std::fmt::Write;

/// The names of the columns.
const HEAD: &str = "case,run,seed,step,epoch,series,layer,value\r\n";

/// The text of the file: the runs of each case in order, the series of each run in order, the steps in order. `epoch`
/// counts from 0, as in the run's records; `layer` is empty for what is of the whole network. A number that was not
/// finite has no row.
pub fn csv(cases: &[Case]) -> String {
    let mut text = HEAD.to_owned();
    for case in cases {
        for run in &case.runs {
            let seed = settings::seed(run).map(|seed| seed.to_string()).unwrap_or_default();
            let head = format!("{},{},{seed}", quoted(&case.name), quoted(&run.name));
            ALL.iter().for_each(|quantity| rows(&mut text, &head, run, quantity));
        }
    }
    text
}

/// The rows of one series of a run.
fn rows(text: &mut String, head: &str, run: &Run, quantity: &Quantity) {
    let mut row = |step: u64, epoch: u64, layer: &str, value: Option<f64>| {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let _ = write!(text, "{head},{step},{epoch},{},{layer},{value}\r\n", quantity.series);
        }
    };
    match quantity.of {
        Of::Step(of) | Of::Mean(of, _) => {
            run.metrics.iter().for_each(|step| row(step.step, step.epoch, "", of(step)))
        }
        Of::Test(of) => run.evaluations.iter().for_each(|one| row(one.step, one.epoch, "", of(one))),
        Of::Layer(of) => {
            for step in &run.metrics {
                for layer in &step.layers {
                    row(step.step, step.epoch, &quoted(&layer.name), of(layer));
                }
            }
        }
    }
}

/// A field, in quotes where its characters ask for them.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\r', '\n']) || field != field.trim() {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, run};
    use super::*;

    #[test]
    fn a_row_is_a_value_of_a_run_at_a_step() {
        let text = csv(&[case("a, \"b\"", vec![run("r1")])]);
        let rows: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(rows[0], "case,run,seed,step,epoch,series,layer,value");
        let due = [
            "\"a, \"\"b\"\"\",r1,,1,0,loss,,2.5",
            "\"a, \"\"b\"\"\",r1,,2,0,loss,,2.25",
            "\"a, \"\"b\"\"\",r1,,3,1,loss,,2",
        ];
        assert_eq!(rows[1..4], due);
        assert!(rows.contains(&"\"a, \"\"b\"\"\",r1,,3,1,test_top1,,0.75"));
        assert!(rows.contains(&"\"a, \"\"b\"\"\",r1,,2,0,angle_deg,\"fc,1\",71.25"));
        assert_eq!(
            rows.iter().filter(|row| row.contains(",angle_deg,")).count(),
            2,
            "of two layers, at one step"
        );
        assert_eq!(rows.last(), Some(&""));
    }

    #[test]
    fn what_is_no_number_has_no_row() {
        let mut one = run("r");
        (one.metrics[0].loss, one.metrics[1].loss) = (None, Some(f64::NAN));
        let text = csv(&[case("c", vec![one])]);
        assert_eq!(text.matches(",loss,").count(), 1);
    }
}
