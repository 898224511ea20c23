//! Early stopping by the median: a trial that trains worse than half of the earlier trials is stopped.
//!
//! At each checkpoint a trial's recent training loss, the mean since the checkpoint before, is compared with that
//! of earlier trials at the same step. The decision follows from losses alone, never from the time of a look. A
//! checkpoint counts only for a trial that went on beyond it, so the last step is not a checkpoint.

use super::ledger::{Record, Status};
use serde::{Deserialize, Serialize};

/// `[stop]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// Whether trials are stopped early.
    pub median: bool,
    /// The step of the first checkpoint.
    pub after_steps: usize,
    /// The steps between checkpoints, over which losses are averaged.
    pub every_steps: usize,
    /// The least number of earlier trials for a comparison.
    pub after_trials: usize,
}

impl Default for Stop {
    fn default() -> Self {
        Self { median: true, after_steps: 100, every_steps: 50, after_trials: 3 }
    }
}

impl Stop {
    fn checkpoint(&self, index: usize) -> usize {
        self.after_steps + index * self.every_steps
    }

    /// The mean loss of the steps before a checkpoint at `step`.
    pub fn recent(&self, losses: &[f64], step: usize) -> f64 {
        let window = &losses[step.saturating_sub(self.every_steps)..step];
        window.iter().sum::<f64>() / window.len() as f64
    }

    /// The recent loss at each checkpoint of a trial with these losses, step by step.
    pub fn curve(&self, losses: &[f64]) -> Vec<f64> {
        let passed = (0..).map(|index| self.checkpoint(index)).take_while(|step| *step < losses.len());
        passed.map(|step| self.recent(losses, step)).collect()
    }

    /// The step after which a trial with this curve is stopped, given the `earlier` curves; `None` if it goes on.
    pub fn verdict(&self, curve: &[f64], earlier: &[Vec<f64>]) -> Option<usize> {
        let worse = |(index, own): (usize, &f64)| {
            let others: Vec<f64> = earlier.iter().filter_map(|curve| curve.get(index)).copied().collect();
            let above = others.len() >= self.after_trials && median(others).is_some_and(|m| *own > m);
            above.then(|| self.checkpoint(index))
        };
        curve.iter().enumerate().find_map(worse)
    }

    /// The part of the curve of a trial that ended after `step`.
    pub fn cut(&self, mut curve: Vec<f64>, step: usize) -> Vec<f64> {
        let passed = (0..).take_while(|index| self.checkpoint(*index) <= step).count();
        curve.truncate(passed);
        curve
    }
}

/// The curves for a trial's comparison. The curve of a failed trial depends on the time of the failure, so it does
/// not count.
pub fn curves(known: &[&Record]) -> Vec<Vec<f64>> {
    let results = known.iter().filter(|record| record.status != Status::Failed);
    results.map(|record| record.curve.clone()).collect()
}

fn median(mut of: Vec<f64>) -> Option<f64> {
    of.sort_by(f64::total_cmp);
    let middle = of.len() / 2;
    match of.len() % 2 {
        1 => Some(of[middle]),
        _ if of.is_empty() => None,
        _ => Some((of[middle - 1] + of[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::ledger::tests::record;

    const STOP: Stop = Stop { median: true, after_steps: 4, every_steps: 2, after_trials: 3 };

    #[test]
    fn a_curve_has_the_recent_loss_at_every_checkpoint_that_was_passed() {
        let losses: Vec<f64> = (1..=8).map(f64::from).collect();
        assert_eq!(STOP.curve(&losses), [3.5, 5.5]);
        assert_eq!(STOP.curve(&losses[..4]), [0.0; 0], "the last step is no checkpoint");
        assert_eq!(STOP.cut(vec![3.5, 5.5], 5), [3.5]);
        let early = Stop { after_steps: 1, every_steps: 3, ..STOP };
        assert_eq!(early.curve(&losses), [1.0, 3.0, 6.0]);
    }

    #[test]
    fn a_failed_trial_is_no_yardstick() {
        let of = |trial, status, loss| Record { curve: vec![loss], ..record(trial, status, None) };
        let known = [
            of(0, Status::Done, 1.0),
            of(1, Status::Failed, 2.0),
            of(2, Status::Stopped, 3.0),
            of(3, Status::Diverged, 4.0),
        ];
        assert_eq!(curves(&known.iter().collect::<Vec<_>>()), [[1.0], [3.0], [4.0]]);
    }

    #[test]
    fn a_trial_above_the_median_of_enough_others_is_given_up_there() {
        let earlier = vec![vec![1.0, 0.5], vec![2.0, 0.6], vec![3.0, 0.7, 0.1], vec![9.0]];
        assert_eq!(STOP.verdict(&[2.6, 0.6], &earlier), Some(4), "the median of 1, 2, 3 and 9 is 2.5");
        assert_eq!(STOP.verdict(&[2.5, 0.61], &earlier), Some(6));
        assert_eq!(STOP.verdict(&[2.5, 0.6, 99.0], &earlier), None, "one curve is too few at the third");
        assert_eq!(STOP.verdict(&[99.0], &earlier[..2]), None);
    }
}
