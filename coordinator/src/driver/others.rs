//! The states of other runs that a node keeps.

use proto::control::HeldSnapshot;
use std::collections::BTreeMap;

/// The most runs that the sentence names. A node never removes a state that it set aside, and a message has room for
/// thousands.
const NAMED: usize = 3;

/// The sentence about the states of runs other than `run` that a node keeps; `None` if it keeps none.
pub fn of_others(snapshots: &[HeldSnapshot], run: &str) -> Option<String> {
    let mut newest = BTreeMap::new();
    for held in snapshots.iter().filter(|held| held.run != run) {
        let step = newest.entry(&held.run).or_insert(held.updates);
        *step = held.updates.max(*step);
    }
    let named = newest.iter().take(NAMED);
    let named = named.map(|(run, step)| format!("run {} (up to step {step})", run.escape_debug()));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match newest.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and of {more} more"),
    };
    (!named.is_empty()).then(|| {
        format!("keeps the state of {named}{more}: this run uses none of it, and the node sets it aside in previous/ of its state folder")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_other_runs_is_named_by_its_newest_step() {
        let held =
            |run: &str, updates| HeldSnapshot { run: run.into(), updates, imported: false, tensors: 0 };
        assert_eq!(of_others(&[held("own", 3)], "own"), None);
        let said = of_others(&[held("b", 40), held("own", 3), held("b", 33), held("a", 7)], "own").unwrap();
        assert!(
            said.starts_with("keeps the state of run a (up to step 7), run b (up to step 40): "),
            "{said}"
        );
        let many: Vec<_> = ["a", "b", "c", "d", "e\n"].iter().map(|run| held(run, 1)).collect();
        let said = of_others(&many, "own").unwrap();
        assert!(said.contains("run c (up to step 1), and of 2 more: "), "{said}");
        assert!(of_others(&many[4..], "own").unwrap().contains("run e\\n (up to"));
    }
}
