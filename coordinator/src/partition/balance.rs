//! Balanced cuts: a given number of stages, cut so that the costliest stage is as cheap as possible.
//!
//! The search first finds the exact optimum. Of all cuts whose costliest stage takes at most [`SLACK`] more, it takes
//! the cut that sends the fewest bytes, and among equal cuts the one with the most boundaries before a weight layer or
//! a block.

#[cfg(test)]
mod tests;

use super::search::search;
use super::{Estimator, PartitionError, StageEstimate, Stages};
use crate::model::Network;
use crate::pipeline::Held;

/// The fraction by which a cut may be costlier than the optimum if it sends less: estimates are no more exact.
pub const SLACK: f64 = 0.05;

/// Cuts `network` into `stages` stages, of which none takes more than `memory` bytes.
///
/// # Errors
/// No stages, more stages than layers, or a limit that no cut can keep.
pub fn balanced(
    network: &Network,
    estimator: &Estimator,
    stages: u32,
    memory: Option<u64>,
) -> Result<Stages, PartitionError> {
    let (seconds, best) = optimum(estimator, stages, memory)?;
    let begins = |at: usize| network.layers[at].op.is_weight() || network.blocks.contains(&at);
    let inside: Vec<u64> = (0..network.layers.len()).map(|at| u64::from(!begins(at))).collect();
    let score = |start: usize, stage: &StageEstimate| {
        let sent = estimator.bytes(start).iter().sum::<u64>();
        let allowed = stage.seconds <= seconds * (1.0 + SLACK) && fits(stage, memory);
        allowed.then_some(if start == 0 { (0, 0) } else { (sent, inside[start]) })
    };
    let found = over(estimator, stages, (0, 0), |a: (u64, u64), b| (a.0 + b.0, a.1 + b.1), score)?;
    Ok(found.map_or(best, |(_, ranges)| ranges))
}

/// The smallest seconds per sample that the costliest of `stages` stages can have, and a cut that has it.
///
/// # Errors
/// No stages, more stages than layers, or a limit that no cut can keep.
pub fn optimum(
    estimator: &Estimator,
    stages: u32,
    memory: Option<u64>,
) -> Result<(f64, Stages), PartitionError> {
    let score = |_, stage: &StageEstimate| fits(stage, memory).then_some(stage.seconds);
    match (over(estimator, stages, 0.0, f64::max, score)?, memory) {
        (Some(found), _) => Ok(found),
        (None, limit) => {
            let least = leanest(estimator, stages)?;
            Err(PartitionError::Memory { stages, limit: limit.unwrap_or(u64::MAX), least })
        }
    }
}

/// The fewest bytes that the largest of `stages` nodes can be predicted to take.
///
/// # Errors
/// No stages, or more stages than layers.
pub fn leanest(estimator: &Estimator, stages: u32) -> Result<u64, PartitionError> {
    let found = over(estimator, stages, 0, u64::max, |_, stage: &StageEstimate| Some(stage.memory.total()))?;
    Ok(found.map_or(0, |(bytes, _)| bytes))
}

fn fits(stage: &StageEstimate, memory: Option<u64>) -> bool {
    memory.is_none_or(|limit| stage.memory.total() <= limit)
}

/// The best cut by `score`, which gets each stage's first layer and estimate.
fn over<K: Copy + PartialOrd>(
    estimator: &Estimator,
    stages: u32,
    zero: K,
    join: impl Fn(K, K) -> K,
    score: impl Fn(usize, &StageEstimate) -> Option<K>,
) -> Result<Option<(K, Stages)>, PartitionError> {
    let layers = estimator.profile().layers().len();
    if stages == 0 {
        return Err(PartitionError::NoStages);
    }
    if stages as usize > layers {
        return Err(PartitionError::TooMany { stages, layers });
    }
    let held: Vec<Held> = estimator.workload().lanes(stages)?.iter().map(Held::of).collect();
    Ok(search((layers, stages as usize), zero, join, |stage, end| {
        let row = estimator.ending_at(end, &held[stage]);
        row.iter().enumerate().map(|(start, stage)| score(start, stage)).collect()
    }))
}
