//! The rounds of a bench: several contenders are measured in turn, round after round, so that a machine that is slow
//! for a while is slow for all of them.

use crate::run::{Failure, say};

/// A contender, measured once a round.
pub struct Contender<'a> {
    /// The contender's name in the output.
    pub name: String,
    /// The function that measures the contender.
    pub measure: Box<dyn Fn() -> Result<f64, Failure> + 'a>,
}

/// Measures each contender once a round, and returns the numbers of each.
///
/// # Errors
/// The first measurement that fails.
pub fn in_turn(case: &str, rounds: u32, contenders: &[Contender<'_>]) -> Result<Vec<Vec<f64>>, Failure> {
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 1..=rounds {
        for (Contender { name, measure }, numbers) in contenders.iter().zip(&mut measured) {
            let number = measure()?;
            say(&format!("{case}, round {round} of {rounds}: {name}: {number:.1}"));
            numbers.push(number);
        }
    }
    Ok(measured)
}

/// The middle number, or the mean of the two middle numbers.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// The smallest and the largest number.
pub fn range(numbers: &[f64]) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    numbers.iter().fold(ends, |(least, most), &number| (number.min(least), number.max(most)))
}

/// Each number of `ours` as a multiple of the reference's number of the same round.
pub fn ratios(ours: &[f64], reference: &[f64]) -> Vec<f64> {
    ours.iter().zip(reference).map(|(ours, reference)| ours / reference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn contenders_take_turns() {
        let order = &RefCell::new(Vec::new());
        let contender = |name: &'static str| Contender {
            name: name.into(),
            measure: Box::new(move || {
                order.borrow_mut().push(name);
                Ok(order.borrow().len() as f64)
            }),
        };
        let measured = in_turn("case", 2, &[contender("a"), contender("b")]).unwrap();
        assert_eq!(order.take(), ["a", "b", "a", "b"]);
        assert_eq!(measured, [[1.0, 3.0], [2.0, 4.0]]);
    }

    #[test]
    fn the_median_is_in_the_middle_of_the_range() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), range(&[3.0, 1.0, 2.0])), (2.0, (1.0, 3.0)));
        assert_eq!(median(&[4.0, 1.0]), 2.5);
    }
}
