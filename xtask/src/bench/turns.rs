//! Measuring in turn: a machine that is slow for a while is slow for everything that is compared.

use super::{Bounds, Row};
use crate::run::{Failure, say};

/// A thing that is measured once a round.
pub struct Contender<'a> {
    pub name: &'static str,
    /// Floor and goal of the ratio to it.
    pub bounds: Bounds,
    pub measure: Box<dyn Fn() -> Result<f64, Failure> + 'a>,
}

/// Measures each contender once a round, and returns the numbers of each: a machine that is slow for a while is slow
/// for all of them. Every round begins with another contender: the first runs on a machine that the last left warm.
pub fn in_turn(case: &str, rounds: usize, contenders: &[Contender<'_>]) -> Result<Vec<Vec<f64>>, Failure> {
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 1..=rounds {
        for turn in 0..contenders.len() {
            let at = (round - 1 + turn) % contenders.len();
            let number = (contenders[at].measure)()?;
            say(&format!("{case}, round {round} of {rounds}: {}: {number:.1}", contenders[at].name));
            measured[at].push(number);
        }
    }
    Ok(measured)
}

/// A row of rates for each contender but the first, beside which it was measured.
pub fn rows_beside(
    bench: &'static str,
    case: &str,
    contenders: &[Contender<'_>],
    measured: &[Vec<f64>],
) -> Vec<Row> {
    let row = |(Contender { name, bounds, .. }, numbers): (&Contender<'_>, &Vec<f64>)| {
        rates(bench, format!("{case}: {name}"), &measured[0], numbers, *bounds)
    };
    contenders.iter().zip(measured).skip(1).map(row).collect()
}

/// The row of two rates, each measured once a round: the higher one is better.
pub fn rates(bench: &'static str, case: String, ours: &[f64], reference: &[f64], bounds: Bounds) -> Row {
    let spread = range(ours.iter().zip(reference).map(|(ours, reference)| ours / reference));
    let (rounds, floor, goal) = (ours.len(), bounds.0, bounds.1);
    let (ours, reference) = (median(ours), median(reference));
    Row {
        bench,
        case,
        ratio: ours / reference,
        spread,
        floor,
        goal,
        ours,
        reference,
        unit: "images/s",
        rounds,
    }
}

/// The row of two times in milliseconds, each measured once a round: the lower one is better.
pub fn times(bench: &'static str, case: String, ours: &[f64], reference: &[f64], bounds: Bounds) -> Row {
    costs(bench, case, [ours, reference], bounds, "ms")
}

/// The row of two costs in `unit`, each measured once a round: the lower one is better.
pub fn costs(
    bench: &'static str,
    case: String,
    [ours, reference]: [&[f64]; 2],
    bounds: Bounds,
    unit: &'static str,
) -> Row {
    let spread = range(ours.iter().zip(reference).map(|(ours, reference)| reference / ours));
    let (rounds, floor, goal) = (ours.len(), bounds.0, bounds.1);
    let (ours, reference) = (median(ours), median(reference));
    Row { bench, case, ratio: reference / ours, spread, floor, goal, ours, reference, unit, rounds }
}

/// The middle number, or the mean of the middle two.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// The smallest and the largest number.
fn range(numbers: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    numbers.into_iter().fold(ends, |(least, most), number| (number.min(least), number.max(most)))
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn contenders_take_turns() {
        let order = &RefCell::new(Vec::new());
        let contender = |name: &'static str| Contender {
            name,
            bounds: (0.0, 1.0),
            measure: Box::new(move || {
                order.borrow_mut().push(name);
                Ok(order.borrow().len() as f64)
            }),
        };
        let measured = in_turn("case", 2, &[contender("a"), contender("b")]).unwrap();
        assert_eq!(order.take(), ["a", "b", "b", "a"]);
        assert_eq!(measured, [[1.0, 4.0], [2.0, 3.0]]);
    }

    #[test]
    fn the_median_is_in_the_middle_of_the_range() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), range([3.0, 1.0, 2.0])), (2.0, (1.0, 3.0)));
        assert_eq!(median(&[4.0, 1.0]), 2.5);
    }

    #[test]
    fn a_row_is_a_line_of_the_table_and_one_of_json() {
        let row = rates("pipeline", "a, b".into(), &[90.0, 98.0, 120.0], &[100.0, 100.0, 100.0], (0.9, 1.0));
        let expected = r#"{"bench":"pipeline","case":"a, b","ratio":0.9800,"floor":0.9,"goal":1,"ours":98.00,"reference":100.00,"unit":"images/s","rounds":3,"ratio_min":0.9000,"ratio_max":1.2000,"machine":"m"}"#;
        assert_eq!(row.json("m"), expected);
        let page = include_str!("../../../docs/files.md");
        let (_, section) = page.split_once("\n## Rows of `cargo xtask bench`").unwrap();
        for key in expected.split('"').filter(|word| expected.contains(&format!("\"{word}\":"))) {
            assert!(section.contains(&format!("| `{key}` |")), "docs/files.md has no row for {key}");
        }
        assert_eq!(table(&[row]).lines().count(), 2);
    }

    #[test]
    fn the_lower_time_is_the_better_one() {
        let row = times("tls", "a".into(), &[50.0, 40.0], &[40.0, 40.0], (0.9, 1.0));
        assert_eq!((row.spread, row.ours, row.reference), ((0.8, 1.0), 45.0, 40.0));
        assert!(row.ratio < row.floor);
    }
}
