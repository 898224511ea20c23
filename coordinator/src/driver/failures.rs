//! Where everything that goes wrong in a run is reported, and the most telling reason is chosen.
//!
//! When a node dies its neighbours lose their links as well, and complain too. The first complaint
//! ends the run; others may follow for a moment, and the closest to the cause is shown.

use crate::failure::Failure;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long complaints are collected after the first one.
const GRACE: Duration = Duration::from_millis(700);
/// How long a better reason is waited for where there is only hearsay. Neighbours may notice a silent
/// node earlier than the coordinator does: by as much as the time between two keepalives, which is 3 s.
const PATIENCE: Duration = Duration::from_millis(3500);
/// How often complaints are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// How close a complaint is to the cause; the smaller, the closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// The process ended, or the data could not be read.
    Cause,
    /// A node gave a reason of its own.
    Reason,
    /// The connection to a node was lost.
    Lost,
    /// A node complains of its neighbour.
    Hearsay,
}

/// Shared by all tasks of a run.
#[derive(Clone, Default)]
pub struct FailureCollector {
    complaints: Arc<Mutex<Vec<(Precedence, Failure)>>>,
    ended: CancellationToken,
}

impl FailureCollector {
    fn lock(&self) -> MutexGuard<'_, Vec<(Precedence, Failure)>> {
        self.complaints.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends the run because of `failure`.
    pub fn fail(&self, closeness: Precedence, failure: Failure) {
        self.lock().push((closeness, failure));
        self.ended.cancel();
    }

    /// Ends the run in peace.
    pub fn end(&self) {
        self.ended.cancel();
    }

    /// Completes when the run has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    fn only_hearsay(&self) -> bool {
        let complaints = self.lock();
        !complaints.is_empty() && complaints.iter().all(|(closeness, _)| *closeness == Precedence::Hearsay)
    }

    /// The most telling complaint, once they have had a moment to arrive.
    pub async fn verdict(&self) -> Failure {
        let end = tokio::time::Instant::now() + PATIENCE;
        tokio::time::sleep(GRACE).await;
        while self.only_hearsay() && tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK).await;
        }
        let complaints = self.lock();
        let closest = complaints.iter().min_by_key(|(closeness, _)| *closeness);
        closest.map_or_else(
            || Failure::internal("the run ended without a reason: this is a bug, please report it"),
            |(_, failure)| failure.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_closest_complaint_is_shown_whichever_came_first() {
        let board = FailureCollector::default();
        board.fail(Precedence::Hearsay, Failure::node("stage 1: stage 2 went away"));
        board.fail(Precedence::Cause, Failure::node("stage 2 was killed"));
        board.fail(Precedence::Lost, Failure::node("stage 2 was lost"));
        assert_eq!(board.verdict().await.sentence, "stage 2 was killed");
    }

    #[tokio::test]
    async fn a_silent_node_is_named_although_its_neighbour_notices_first() {
        let board = FailureCollector::default();
        board.fail(Precedence::Hearsay, Failure::node("stage 1: stage 2 went away"));
        let later = board.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            later.fail(Precedence::Lost, Failure::node("stage 2 was lost"));
        });
        assert_eq!(board.verdict().await.sentence, "stage 2 was lost");
        let alone = FailureCollector::default();
        alone.fail(Precedence::Hearsay, Failure::node("stage 1: stage 2 went away"));
        assert_eq!(alone.verdict().await.sentence, "stage 1: stage 2 went away");
    }
}
