//! The retention of snapshots: the older snapshots that nodes keep, as a pure function of the coordinator's
//! knowledge.
//!
//! Nodes write at different times, so only the coordinator knows which snapshot all of them have: the snapshot to
//! go back to when a node dies between two writes. Only the coordinator knows which snapshot is the best, too.

use proto::control::Keep;

/// The coordinator's knowledge when it makes the nodes write.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The newest snapshot that all nodes have; 0 is the seed.
    pub common: u64,
    /// Whether the best snapshot is kept at all.
    pub keep_best: bool,
    /// The best step so far.
    pub best: Option<u64>,
    /// The newest step before the snapshot whose evaluation has begun.
    pub begun: Option<u64>,
    /// The newest step whose evaluation is complete.
    pub evaluated: Option<u64>,
}

/// The snapshots that nodes keep when they write another one.
///
/// The newest evaluation may still be under way; until it is complete, the snapshot before it may be the best. Older
/// evaluations are complete: a snapshot is commanded once all nodes have written the one before.
pub fn keep(known: Known) -> Keep {
    let Known { common, keep_best, best, begun, evaluated } = known;
    let open = begun.filter(|begun| evaluated.is_none_or(|evaluated| evaluated < *begun));
    let mut steps = vec![common];
    if keep_best {
        steps.extend(best.into_iter().chain(open));
    }
    steps.retain(|step| *step > 0);
    steps.sort_unstable();
    steps.dedup();
    Keep(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_the_best_and_the_one_that_may_become_the_best_are_kept() {
        let none = Known { common: 0, keep_best: true, best: None, begun: None, evaluated: None };
        let kept = |begun, known| keep(Known { begun, ..known }).0;
        assert_eq!(kept(None, none), [0; 0]);
        assert_eq!(kept(Some(10), none), [10], "its evaluation is under way");
        let evaluated = Known { common: 30, best: Some(10), evaluated: Some(30), ..none };
        assert_eq!(kept(Some(30), evaluated), [10, 30]);
        assert_eq!(kept(Some(40), evaluated), [10, 30, 40]);
        assert_eq!(kept(Some(40), Known { keep_best: false, ..evaluated }), [30]);
    }
}
