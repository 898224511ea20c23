//! The search for the best cut into contiguous stages, exact, by dynamic programming.
//!
//! ```text
//! best(s, end) = min over start of  join(best(s − 1, start), score of stage s on start..end)
//! ```
//!
//! The search is exact for every `join` that never prefers the worse of two beginnings, such as a maximum or a sum.

use super::Stages;

/// The partition of `layers` layers into `stages` stages whose joined scores are smallest, with that score.
///
/// `row(stage, end)` scores the stages `0..end`, `1..end`, …; `None` forbids a stage. `zero` joined with a score is
/// that score. Among equal partitions the search takes the earliest starts, from the last stage down. The result is
/// `None` if every partition has a forbidden stage.
pub(super) fn search<K: Copy + PartialOrd>(
    (layers, stages): (usize, usize),
    zero: K,
    join: impl Fn(K, K) -> K,
    row: impl Fn(usize, usize) -> Vec<Option<K>>,
) -> Option<(K, Stages)> {
    let mut best: Vec<Option<K>> = vec![None; layers + 1];
    best[0] = Some(zero);
    let mut starts = vec![vec![0; layers + 1]; stages];
    for (stage, starts) in starts.iter_mut().enumerate() {
        let mut next = vec![None; layers + 1];
        let above = stages - 1 - stage;
        let first = if above == 0 { layers } else { stage + 1 };
        for end in first..=layers.saturating_sub(above) {
            for (start, score) in row(stage, end).into_iter().enumerate() {
                let (Some(below), Some(score)) = (best[start], score) else { continue };
                let joined = join(below, score);
                if next[end].is_none_or(|best| joined < best) {
                    next[end] = Some(joined);
                    starts[end] = start;
                }
            }
        }
        best = next;
    }
    let score = best[layers]?;
    let mut end = layers;
    let mut ranges = Vec::with_capacity(stages);
    for starts in starts.iter().rev() {
        ranges.push(starts[end]..end);
        end = starts[end];
    }
    ranges.reverse();
    Some((score, ranges))
}
