//! A pass over the whole test set, and which one was the best.

use super::events::Points;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A line of `evaluations.jsonl`: the whole test set, once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Updates before it.
    pub step: u64,
    /// The epoch that it ends.
    pub epoch: u64,
    /// Mean loss, without label smoothing.
    pub loss: f64,
    /// Fraction of samples whose class came first.
    pub top1: f64,
    /// Fraction of samples whose class was among the first five.
    pub top5: f64,
    /// The whole test set.
    pub samples: usize,
}

impl Evaluation {
    /// Its points on TensorBoard's curves.
    pub fn points(&self) -> Points {
        vec![
            ("test/loss".into(), self.loss),
            ("test/top1".into(), self.top1),
            ("test/top5".into(), self.top5),
        ]
    }
}

/// An evaluation of which nothing has come yet.
pub const NOTHING: Evaluation = Evaluation { step: 0, epoch: 0, loss: 0.0, top1: 0.0, top5: 0.0, samples: 0 };

/// The better of two: by accuracy, and the earlier of equals.
pub fn better(best: Option<Evaluation>, next: Evaluation) -> Option<Evaluation> {
    Some(best.filter(|best| best.top1 >= next.top1).unwrap_or(next))
}

/// The best of those whose snapshot is there: `evaluations.jsonl` also has lines of starts of the run that
/// kept none, and of snapshots that are gone.
pub fn best_of(evaluations: &[Evaluation], held: &BTreeSet<u64>) -> Option<Evaluation> {
    evaluations.iter().filter(|one| held.contains(&one.step)).copied().fold(None, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_most_accurate_is_the_best() {
        let all = [(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.6)];
        let all = all.map(|(step, top1)| Evaluation { step, top1, ..NOTHING });
        assert_eq!(best_of(&all, &[1, 2, 3, 4].into()), Some(all[1]));
    }

    #[test]
    fn what_was_never_saved_is_not_the_best() {
        let all = [(1, 0.5), (2, 0.7), (3, 0.6)].map(|(step, top1)| Evaluation { step, top1, ..NOTHING });
        assert_eq!(best_of(&all, &[1, 3, 9].into()), Some(all[2]));
        assert_eq!(best_of(&all, &[].into()), None);
    }
}
