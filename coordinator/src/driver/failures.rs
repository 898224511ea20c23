//! The failure collector: every task of a run reports its failures here. The first failure ends the run; further
//! failures may follow for a moment.

use super::precedence::{Precedence, choose};
use crate::run_error::RunError;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long failures are collected after the first one.
const GRACE: Duration = Duration::from_millis(700);
/// How long the collector waits for a closer failure if only neighbours have complained. A neighbour may notice a
/// silent node earlier than the coordinator does, by up to the time between two keepalives, which is 3 s.
const LONGEST: Duration = Duration::from_millis(3500);
/// The interval at which the collector looks at the failures meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// The failure collector of a run, which all its tasks share.
#[derive(Clone, Default)]
pub struct FailureCollector {
    complaints: Arc<Mutex<Vec<(Precedence, RunError)>>>,
    /// The reason of the first node that is being stopped.
    leaving: Arc<OnceLock<RunError>>,
    ended: CancellationToken,
}

impl FailureCollector {
    fn complaints(&self) -> MutexGuard<'_, Vec<(Precedence, RunError)>> {
        self.complaints.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends the run because of `failure`.
    pub fn fail(&self, precedence: Precedence, failure: RunError) {
        self.complaints().push((precedence, failure));
        self.ended.cancel();
    }

    /// Ends the run because of a failure that a node or a link reports.
    pub(super) fn report(&self, failure: proto::failure::Failure) {
        self.fail(failure.kind.into(), failure.into());
    }

    /// Notes that a node is being stopped because of `why`. The node goes on for a moment.
    pub(super) fn leave(&self, why: proto::failure::Failure) {
        let _ = self.leaving.set(why.into());
    }

    /// The reason of the first node that is being stopped; the run can be ended in order for a moment.
    pub fn leaving(&self) -> Option<&RunError> {
        self.leaving.get()
    }

    /// Ends the run without a failure.
    pub fn end(&self) {
        self.ended.cancel();
    }

    /// Completes when the run has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// The failure to show, after a moment in which closer failures may arrive.
    pub async fn verdict(&self) -> RunError {
        let end = Instant::now() + LONGEST;
        sleep(GRACE).await;
        while choose(&self.complaints()).wait && Instant::now() < end {
            sleep(LOOK).await;
        }
        let without =
            || RunError::internal("the run ended without a reason: this is a bug, please report it");
        choose(&self.complaints()).shown.cloned().unwrap_or_else(without)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_closest_complaint_is_shown_whichever_came_first() {
        let failures = FailureCollector::default();
        failures.fail(Precedence::Neighbour, RunError::node("stage 1: stage 2 went away"));
        failures.fail(Precedence::Cause, RunError::node("stage 2 was killed"));
        failures.fail(Precedence::Lost, RunError::node("stage 2 was lost"));
        let begun = Instant::now();
        assert_eq!(failures.verdict().await.sentence, "stage 2 was killed");
        assert!(begun.elapsed() < GRACE + LOOK, "nothing better can come: {:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_node_is_named_although_its_neighbour_notices_first() {
        let failures = FailureCollector::default();
        failures.fail(Precedence::Neighbour, RunError::node("stage 1: stage 2 went away"));
        let later = failures.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(2)).await;
            later.fail(Precedence::Lost, RunError::node("stage 2 was lost"));
        });
        assert_eq!(failures.verdict().await.sentence, "stage 2 was lost");
        let (alone, begun) = (FailureCollector::default(), Instant::now());
        alone.fail(Precedence::Neighbour, RunError::node("stage 1: stage 2 went away"));
        assert_eq!(alone.verdict().await.sentence, "stage 1: stage 2 went away");
        assert!((LONGEST..LONGEST + LOOK).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
