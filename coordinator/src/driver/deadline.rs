//! One deadline that several waits share.

use crate::run_error::RunError;
use std::time::Duration;
use tokio::time::Instant;

/// The common end of several waits.
pub(super) struct Deadline {
    after: Duration,
    end: Instant,
}

impl Deadline {
    /// A deadline `after` from now.
    pub(super) fn after(after: Duration) -> Self {
        Self { after, end: Instant::now() + after }
    }

    /// Waits for a part.
    ///
    /// # Errors
    /// `None` if the part's source has ended, since another task then reports the reason; else a sentence that
    /// `what` did not come.
    pub(super) async fn wait<T>(
        &self,
        part: impl Future<Output = Option<T>>,
        what: impl FnOnce() -> String,
    ) -> Result<T, Option<RunError>> {
        let late = |_| {
            Some(RunError::node(format!(
                "the {} did not come within {} s: see the logs of the nodes; network.message_deadline says how long to wait",
                what(),
                self.after.as_secs_f64()
            )))
        };
        tokio::time::timeout_at(self.end, part).await.map_err(late)?.ok_or(None)
    }
}
