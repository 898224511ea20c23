//! The precedence of failures: it decides which of several failures of a run the user sees.
//!
//! A node that dies breaks its neighbours' links, so the neighbours report failures too.

use crate::run_error::RunError;
use proto::failure::FailureKind;

/// The distance of a failure from its cause; a smaller distance is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// The process ended, or the data could not be read.
    Cause,
    /// A node gave a reason of its own.
    Reason,
    /// The connection to a node was lost.
    Lost,
    /// A node, or the end of a link, reports a failure of its neighbour.
    Neighbour,
}

impl From<FailureKind> for Precedence {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Own
            | FailureKind::Refused
            | FailureKind::Protocol
            | FailureKind::OtherProtocol
            | FailureKind::SnapshotGone
            | FailureKind::Address
            | FailureKind::Identity => Precedence::Reason,
            FailureKind::Lost | FailureKind::Unreachable | FailureKind::Early => Precedence::Lost,
            FailureKind::Neighbour => Precedence::Neighbour,
        }
    }
}

/// The choice among several failures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice<T> {
    /// The failure to show; `None` without any failure.
    pub shown: Option<T>,
    /// Whether to wait for a closer failure, since the neighbour itself or the coordinator may know more.
    pub wait: bool,
}

/// Chooses among failures in the order of their arrival: the closest to the cause, and the first of equals.
pub(super) fn choose(complaints: &[(Precedence, RunError)]) -> Choice<&RunError> {
    let closest = complaints.iter().min_by_key(|(precedence, _)| *precedence);
    let wait = closest.is_some_and(|(precedence, _)| *precedence == Precedence::Neighbour);
    Choice { shown: closest.map(|(_, failure)| failure), wait }
}

#[cfg(test)]
mod tests {
    use super::Precedence::*;
    use super::*;

    #[test]
    fn the_closest_complaint_is_shown_and_a_closer_one_than_a_neighbours_is_waited_for() {
        let table: [(&[Precedence], Option<usize>, bool); 10] = [
            (&[], None, false),
            (&[Cause], Some(0), false),
            (&[Reason], Some(0), false),
            (&[Lost], Some(0), false),
            (&[Neighbour], Some(0), true),
            (&[Neighbour, Neighbour], Some(0), true),
            (&[Neighbour, Lost], Some(1), false),
            (&[Neighbour, Cause, Lost], Some(1), false),
            (&[Lost, Neighbour, Reason, Reason], Some(2), false),
            (&[Reason, Lost, Cause], Some(2), false),
        ];
        for (complaints, shown, wait) in table {
            let numbered = complaints.iter().enumerate();
            let numbered: Vec<_> = numbered.map(|(at, one)| (*one, RunError::node(at))).collect();
            let choice = choose(&numbered);
            let found = choice.shown.map(|failure| failure.sentence.parse().unwrap());
            assert_eq!((found, choice.wait), (shown, wait), "{complaints:?}");
        }
    }

    #[test]
    fn what_a_node_saw_of_a_neighbour_ranks_below_all_that_is_known_at_first_hand() {
        assert!(Precedence::from(FailureKind::Own) < Precedence::from(FailureKind::Lost));
        assert!(Precedence::from(FailureKind::Unreachable) < Precedence::from(FailureKind::Neighbour));
    }
}
