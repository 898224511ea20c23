//! The past of a run, as far as it may differ from what the present configuration and the nodes' state suggest: weights
//! were imported into a snapshot, or a start came with another optimizer or another cut.
//!
//! Whatever compares a measurement with an earlier one asks here which of them it may compare.

use super::cut::Cut;
use proto::spec::optimizer::OptimizerSpec;
use serde::{Deserialize, Serialize};

/// The breaks in a run's past; a part of `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// The updates after which the run went on with imported weights, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<u64>,
    /// The optimizers of W, each with the number of updates before its first one, ascending. Empty for a run of an
    /// earlier release.
    #[serde(default)]
    pub optimizers: Vec<(u64, OptimizerSpec)>,
    /// The cuts of the network, each with the number of updates before its first one, ascending. Empty for a run of an
    /// earlier release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cuts: Vec<(u64, Cut)>,
}

impl Past {
    /// The past of a run that goes on after `step` under `optimizer`; `imported` says whether weights were imported
    /// into the snapshot that the nodes restore.
    pub fn going_on(mut self, step: u64, imported: bool, optimizer: OptimizerSpec) -> Self {
        self.imports.retain(|import| *import <= step);
        if imported && self.imported() != step {
            self.imports.push(step);
        }
        self.optimizers.retain(|(since, _)| *since < step);
        let since = if self.optimizers.is_empty() { 0 } else { step };
        if self.optimizers.last().is_none_or(|(_, last)| *last != optimizer) {
            self.optimizers.push((since, optimizer));
        }
        self
    }

    /// The past of a run that goes on after `step` with the network cut as `cut`.
    pub fn cut_as(mut self, step: u64, cut: Cut) -> Self {
        self.cuts.retain(|(since, _)| *since < step);
        let since = if self.cuts.is_empty() { 0 } else { step };
        if self.cuts.last().is_none_or(|(_, last)| *last != cut) {
            self.cuts.push((since, cut));
        }
        self
    }

    /// The updates after which the network was cut as it is now; 0 if it always was.
    pub fn cut_since(&self) -> u64 {
        self.cuts.last().map_or(0, |(since, _)| *since)
    }

    /// The updates after which weights were imported last; 0 for never.
    pub fn imported(&self) -> u64 {
        self.imports.last().copied().unwrap_or(0)
    }

    /// The optimizer of W's next update after `updates` others.
    pub fn optimizer(&self, updates: u64) -> Option<&OptimizerSpec> {
        let begun = self.optimizers.iter().rev().find(|(since, _)| *since <= updates);
        begun.map(|(_, optimizer)| optimizer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_back_forgets_the_breaks_that_it_gave_up() {
        let sgd = OptimizerSpec::sgd;
        let past = Past::default().going_on(0, false, sgd(0.1)).going_on(10, true, sgd(0.1));
        assert_eq!((past.imported(), past.optimizers.len()), (10, 1));
        let later = past.going_on(20, false, sgd(0.2)).going_on(30, true, sgd(0.2));
        let lr = |past: &Past, updates| past.optimizer(updates).map(|optimizer| optimizer.lr);
        assert_eq!([0, 19, 20, 40].map(|updates| lr(&later, updates)), [0.1, 0.1, 0.2, 0.2].map(Some));
        assert_eq!(later.imports, [10, 30]);
        let again = later.clone().going_on(30, true, sgd(0.2));
        assert_eq!(again, later, "the same start once more");
        let back = later.going_on(20, false, sgd(0.1));
        assert_eq!((back.imported(), back.optimizers.len()), (10, 1), "the second rate made no update");
        let seed = back.going_on(0, false, sgd(0.3));
        assert_eq!((seed.imported(), lr(&seed, 0)), (0, Some(0.3)));
        let old = Past::default().going_on(7, false, sgd(0.1));
        assert_eq!(lr(&old, 0), Some(0.1), "a run of an earlier release had the same optimizer throughout");
    }

    #[test]
    fn the_cuts_of_a_run_follow_each_other() {
        let cut = |stages: &[&str]| {
            let stages = stages.iter().map(|name| (*name).to_owned()).collect();
            Cut { stages, ..Cut::default() }
        };
        let (five, two) = (cut(&["a", "b", "c", "d", "e"]), cut(&["a", "d"]));
        let past = Past::default().cut_as(0, five.clone()).cut_as(20, five.clone());
        assert_eq!((past.cut_since(), past.cuts.len()), (0, 1), "the same cut is no other");
        let past = past.cut_as(20, two.clone());
        assert_eq!(past.clone().cut_as(20, two.clone()), past, "the same start once more");
        assert_eq!(past.cuts, [(0, five.clone()), (20, two.clone())]);
        let back = past.clone().cut_as(30, five.clone());
        assert_eq!((back.cut_since(), back.cuts.len()), (30, 3));
        assert_eq!(past.clone().cut_as(20, five.clone()).cuts, [(0, five)], "the second cut made no update");
        assert_eq!(past.cut_as(0, two.clone()).cuts, [(0, two)]);
    }
}
