//! One pass over the whole test set: a line of `evaluations.jsonl`.

use super::tally::Tally;
use crate::driver::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One pass over the test set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The training step before the evaluation.
    pub step: u64,
    /// The epoch of that step, from 0.
    #[serde(default)]
    pub epoch: u64,
    /// Mean loss, without label smoothing.
    pub loss: Option<f64>,
    /// Fraction of the samples whose label ranks first.
    pub top1: Option<f64>,
    /// Fraction of the samples whose label ranks among the first five.
    pub top5: Option<f64>,
    /// The number of samples of the whole test set.
    #[serde(default)]
    pub samples: usize,
}

impl Evaluation {
    /// The better of two evaluations: by accuracy, and the earlier of equals.
    pub fn better(best: Option<Self>, next: Self) -> Option<Self> {
        Some(best.filter(|best| best.top1 >= next.top1).unwrap_or(next))
    }

    /// The best of the evaluations whose snapshot is held. `evaluations.jsonl` also has lines of starts of the run
    /// that kept no snapshot, and of snapshots that were removed.
    pub fn best(evaluations: &[Self], held: &BTreeSet<u64>) -> Option<Self> {
        evaluations.iter().filter(|one| held.contains(&one.step)).copied().fold(None, Self::better)
    }
}

/// The sums of an evaluation under way.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The number of samples so far.
    pub samples: usize,
    /// The counts by class so far.
    pub tally: Tally,
    loss: f64,
    top1: f64,
    top5: f64,
}

impl Pass {
    /// Adds one minibatch.
    pub fn add(&mut self, outcome: &Outcome) {
        let n = outcome.samples as f64;
        self.samples += outcome.samples;
        self.loss += outcome.loss * n;
        self.top1 += outcome.top1 * n;
        self.top5 += outcome.top5 * n;
        self.tally.add(&outcome.guesses);
    }

    /// The evaluation with these sums, after `step` and of `epoch`.
    pub fn complete(&self, step: u64, epoch: u64) -> Evaluation {
        let mean = |sum: f64| (self.samples > 0).then(|| sum / self.samples as f64);
        let [loss, top1, top5] = [self.loss, self.top1, self.top5].map(mean);
        Evaluation { step, epoch, loss, top1, top5, samples: self.samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation((step, top1): (u64, f64)) -> Evaluation {
        Evaluation { step, top1: Some(top1), ..Evaluation::default() }
    }

    #[test]
    fn every_field_of_a_line_is_documented() {
        crate::documented::holds("evaluations.jsonl", &[serde_json::json!(Evaluation::default())]);
    }

    #[test]
    fn an_evaluation_of_no_samples_has_no_mean() {
        let Evaluation { loss, top1, top5, .. } = Pass::default().complete(3, 0);
        assert_eq!([loss, top1, top5], [None; 3]);
    }

    #[test]
    fn the_first_of_the_most_accurate_is_the_best() {
        let all = [(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.6)].map(evaluation);
        assert_eq!(Evaluation::best(&all, &[1, 2, 3, 4].into()), Some(all[1]));
    }

    #[test]
    fn an_evaluation_without_a_snapshot_is_not_the_best() {
        let all = [(1, 0.5), (2, 0.7), (3, 0.6)].map(evaluation);
        assert_eq!(Evaluation::best(&all, &[1, 3, 9].into()), Some(all[2]));
        assert_eq!(Evaluation::best(&all, &[].into()), None);
    }
}
