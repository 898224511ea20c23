//! Waiting for the parts of what is due, all together no longer than a deadline.

use crate::failure::Failure;
use std::time::Duration;
use tokio::time::Instant;

/// One deadline for several waits.
pub(super) struct Deadline {
    deadline: Duration,
    end: Instant,
}

impl Deadline {
    /// That begins now.
    pub(super) fn of(deadline: Duration) -> Self {
        Self { deadline, end: Instant::now() + deadline }
    }

    /// Waits for a part.
    ///
    /// # Errors
    /// `None` where its source has ended, and others know why; else a sentence that says `what` did not come.
    pub(super) async fn wait<T>(
        &self,
        part: impl Future<Output = Option<T>>,
        what: impl FnOnce() -> String,
    ) -> Result<T, Option<Failure>> {
        let late = |_| {
            Some(Failure::node(format!(
                "the {} did not come within {} s: see the logs of the nodes; network.message_deadline says how long to wait",
                what(),
                self.deadline.as_secs_f64()
            )))
        };
        tokio::time::timeout_at(self.end, part).await.map_err(late)?.ok_or(None)
    }
}
