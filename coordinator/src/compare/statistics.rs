//! Statistics over the runs of a case, and over the layers of a network.

use crate::report::model::curve::Point;
use std::collections::BTreeMap;

/// The mean of at least one number, and its standard deviation (of a sample, divided by n − 1) of at least two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub mean: f64,
    pub deviation: Option<f64>,
}

impl Mean {
    /// The mean of the finite numbers among `values`.
    pub fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let values: Vec<f64> = values.flatten().filter(|value| value.is_finite()).collect();
        let count = values.len() as f64;
        let mean = Some(values.iter().sum::<f64>() / count).filter(|_| !values.is_empty())?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { mean, deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) })
    }
}

/// The least, the middle and the largest of at least one number.
pub fn spread(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let (least, largest) = (*values.first()?, *values.last()?);
    let half = values.len() / 2;
    let middle = if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
    Some([least, middle, largest])
}

/// The mean and the range over the runs of a case at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Across {
    pub step: u64,
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// The curves of several runs as one: at every step that all runs with points have.
pub fn across(runs: &[Vec<Point>]) -> Vec<Across> {
    let count = runs.iter().filter(|points| !points.is_empty()).count();
    let mut steps: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (step, value) in runs.iter().flatten() {
        steps.entry(*step).or_default().push(*value);
    }
    let common = steps.into_iter().filter(|(_, values)| values.len() == count);
    let one = |(step, values): (u64, Vec<f64>)| Across {
        step,
        mean: values.iter().sum::<f64>() / values.len() as f64,
        low: values.iter().copied().fold(f64::INFINITY, f64::min),
        high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    common.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let of = |values: &[f64]| Mean::of(values.iter().copied().map(Some));
        assert_eq!(of(&[1.0, 2.0, 6.0]), Some(Mean { mean: 3.0, deviation: Some(7f64.sqrt()) }));
        assert_eq!(of(&[4.0, f64::NAN]), Some(Mean { mean: 4.0, deviation: None }));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(spread(vec![9.0, 1.0, 4.0, 2.0]), Some([1.0, 3.0, 9.0]));
        assert_eq!(spread(vec![5.0, 1.0, f64::NAN, 2.0]), Some([1.0, 2.0, 5.0]));
        assert_eq!(spread(vec![f64::INFINITY]), None);
    }

    #[test]
    fn runs_are_laid_over_each_other_where_all_have_a_value() {
        let runs = [vec![(1, 1.0), (2, 2.0), (3, 9.0)], vec![(1, 3.0), (2, 6.0)], Vec::new()];
        let found = across(&runs);
        let due = [(1, 2.0, 1.0, 3.0), (2, 4.0, 2.0, 6.0)];
        assert_eq!(found, due.map(|(step, mean, low, high)| Across { step, mean, low, high }));
    }
}
