//! `cargo xtask bench NAME`: what is claimed, measured against a reference, in one table and as JSON.

mod idx;
mod memory;
mod resident;

use crate::run::{CONFIGURATION, Failure, INTERNAL, Root};
use std::fmt::Write;

/// One thing measured.
struct Row {
    bench: &'static str,
    case: String,
    /// How good `ours` is, as a multiple of `reference`: the more, the better.
    ratio: f64,
    /// A ratio below this one fails the bench.
    floor: f64,
    /// The ratio to be had.
    goal: f64,
    ours: f64,
    reference: f64,
    unit: &'static str,
    /// How often it was measured.
    rounds: u32,
}

/// Runs the bench of this name.
///
/// # Errors
/// A name that no bench has, what could not be run, or a ratio below its floor.
pub fn bench(root: &Root, name: &str) -> Result<(), Failure> {
    let rows = match name {
        "memory" => memory::memory(root)?,
        _ => {
            return Err(Failure::new(CONFIGURATION, format!("there is no bench `{name}`: memory is one")));
        }
    };
    print!("{}", table(&rows));
    rows.iter().for_each(|row| println!("{}", json(row)));
    match rows.iter().find(|row| row.ratio < row.floor) {
        None => Ok(()),
        Some(Row { bench, case, ratio, floor, .. }) => {
            let sentence =
                format!("bench {bench}, {case}: the ratio is {ratio:.3}, below its floor of {floor}");
            Err(Failure::new(INTERNAL, sentence))
        }
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    _ = writeln!(
        text,
        "\n{:<38} {:>7} {:>7} {:>7} {:>9} {:>10}  unit",
        "case", "ratio", "floor", "goal", "ours", "reference"
    );
    for Row { case, ratio, floor, goal, ours, reference, unit, .. } in rows {
        _ = writeln!(
            text,
            "{case:<38} {ratio:>7.3} {floor:>7.2} {goal:>7.2} {ours:>9.1} {reference:>10.1}  {unit}"
        );
    }
    text
}

/// A row as JSON; its words are plain ASCII, which Rust quotes as JSON does.
fn json(row: &Row) -> String {
    let Row { bench, case, ratio, floor, goal, ours, reference, unit, rounds } = row;
    format!(
        r#"{{"bench":{bench:?},"case":{case:?},"ratio":{ratio:.4},"floor":{floor},"goal":{goal},"ours":{ours:.2},"reference":{reference:.2},"unit":{unit:?},"rounds":{rounds}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_of_the_table_and_one_of_json() {
        let row = Row {
            bench: "memory",
            case: "stage 0: end".into(),
            ratio: 0.98,
            floor: 0.9,
            goal: 1.0,
            ours: 100.0,
            reference: 98.0,
            unit: "MiB",
            rounds: 1,
        };
        let expected = r#"{"bench":"memory","case":"stage 0: end","ratio":0.9800,"floor":0.9,"goal":1,"ours":100.00,"reference":98.00,"unit":"MiB","rounds":1}"#;
        assert_eq!(json(&row), expected);
        assert_eq!(table(&[row]).lines().count(), 3);
    }
}
