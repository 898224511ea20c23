//! The rows of a bench, as lines of its table and as JSON.

use super::rounds::{median, range, ratios};
use std::fmt::Write;

/// One measured comparison.
pub struct Row {
    /// The bench's name.
    pub bench: &'static str,
    /// The names of the compared contenders.
    pub case: String,
    /// `ours` as a multiple of `reference`: higher is better.
    pub ratio: f64,
    /// The smallest and the largest ratio of a round.
    pub spread: (f64, f64),
    /// The floor: a lower ratio fails the bench.
    pub floor: f64,
    /// The goal of the ratio.
    pub goal: f64,
    /// The median of our numbers over the rounds.
    pub ours: f64,
    /// The median of the reference's numbers over the rounds.
    pub reference: f64,
    /// The unit of `ours` and `reference`.
    pub unit: &'static str,
    /// How often the case was measured.
    pub rounds: usize,
}

impl Row {
    /// The row of two rates, each measured once a round. The higher rate is better.
    pub fn of_rates(
        (bench, case): (&'static str, String),
        (ours, reference): (&[f64], &[f64]),
        (floor, goal): (f64, f64),
        unit: &'static str,
    ) -> Self {
        let spread = range(&ratios(ours, reference));
        let rounds = ours.len();
        let (ours, reference) = (median(ours), median(reference));
        Self { bench, case, ratio: ours / reference, spread, floor, goal, ours, reference, unit, rounds }
    }

    /// The row as JSON. Its words are plain ASCII, which Rust quotes as JSON does.
    pub fn json(&self, machine: &str) -> String {
        let Self { bench, case, ratio, spread: (least, most), floor, goal, ours, reference, unit, rounds } =
            self;
        format!(
            r#"{{"bench":{bench:?},"case":{case:?},"ratio":{ratio:.4},"floor":{floor},"goal":{goal},"ours":{ours:.2},"reference":{reference:.2},"unit":{unit:?},"rounds":{rounds},"ratio_min":{least:.4},"ratio_max":{most:.4},"machine":{machine:?}}}"#
        )
    }
}

/// All rows as a table for people to read.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.case.len()).max().unwrap_or(0);
    let mut text = String::new();
    _ = writeln!(
        text,
        "{:<width$} {:>7} {:>13} {:>7} {:>7} {:>9} {:>10}  unit",
        "case", "ratio", "by round", "floor", "goal", "ours", "reference"
    );
    for Row { case, ratio, spread: (least, most), floor, goal, ours, reference, unit, .. } in rows {
        let spread = format!("{least:.3}-{most:.3}");
        _ = writeln!(
            text,
            "{case:<width$} {ratio:>7.3} {spread:>13} {floor:>7.2} {goal:>7.2} {ours:>9.1} {reference:>10.1}  {unit}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_of_the_table_and_one_of_json() {
        let rates = ([90.0, 98.0, 120.0], [100.0, 100.0, 100.0]);
        let row = Row::of_rates(("pipeline", "a, b".into()), (&rates.0, &rates.1), (0.9, 1.0), "images/s");
        let expected = r#"{"bench":"pipeline","case":"a, b","ratio":0.9800,"floor":0.9,"goal":1,"ours":98.00,"reference":100.00,"unit":"images/s","rounds":3,"ratio_min":0.9000,"ratio_max":1.2000,"machine":"m"}"#;
        assert_eq!(row.json("m"), expected);
        assert_eq!(table(&[row]).lines().count(), 2);
    }
}
