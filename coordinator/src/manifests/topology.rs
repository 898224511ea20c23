//! The neighbours of every process: the list of who may call whom. The network policies follow from it.
//!
//! ```text
//! data     coordinator ─▶ stage 0 ─▶ stage 1 ─▶ … ─▶ stage n-1 ◀─ coordinator
//!                            └─▶ its backward node, if it has one
//! control  coordinator ─▶ every node
//! ```

use proto::link::Role;

/// Whether `caller` opens a link to `called`, in a run of this number of stages.
pub(super) fn dials(caller: Role, called: Role, stages: u32) -> bool {
    match (caller, called) {
        (Role::Coordinator, Role::Stage(stage)) => stage == 0 || stage + 1 == stages,
        (Role::Stage(below), Role::Stage(above)) => below + 1 == above,
        (Role::Stage(stage), Role::Backward(half)) => stage == half,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Backward, Coordinator, Stage};

    #[test]
    fn data_goes_up_from_neighbour_to_neighbour_and_the_coordinator_has_both_ends() {
        let all = [Coordinator, Stage(0), Stage(1), Stage(2), Backward(1)];
        let pairs = all.into_iter().flat_map(|from| all.into_iter().map(move |to| (from, to)));
        let found: Vec<(Role, Role)> = pairs.filter(|(from, to)| dials(*from, *to, 3)).collect();
        let due = [
            (Coordinator, Stage(0)),
            (Coordinator, Stage(2)),
            (Stage(0), Stage(1)),
            (Stage(1), Stage(2)),
            (Stage(1), Backward(1)),
        ];
        assert_eq!(found, due);
        assert!(dials(Coordinator, Stage(0), 1) && !dials(Stage(0), Coordinator, 1));
    }
}
