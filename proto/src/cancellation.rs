//! The early end of a run: the end keeps the run's first failure and stops every wait.

use crate::failure::Failure;
use std::fmt::Display;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The end of one run, shared by all tasks and threads that work for the run.
#[derive(Clone, Debug, Default)]
pub struct Cancellation {
    token: CancellationToken,
    failure: Arc<OnceLock<Failure>>,
}

impl Cancellation {
    /// Ends the run because of `failure`, unless it has failed already.
    pub fn fail(&self, failure: Failure) {
        let _ = self.failure.set(failure);
        self.token.cancel();
    }

    /// Ends the run without a failure.
    pub fn end(&self) {
        self.token.cancel();
    }

    /// Completes when the run has ended.
    pub async fn ended(&self) {
        self.token.cancelled().await;
    }

    /// Whether the run goes on.
    ///
    /// # Errors
    /// The reason for the run's end, once the run has ended.
    pub fn check(&self) -> Result<(), Failure> {
        match self.token.is_cancelled() {
            false => Ok(()),
            true => Err(self.reason()),
        }
    }

    /// The first failure, once there is one.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// The reason for the run's end.
    pub fn reason(&self) -> Failure {
        self.failure().cloned().unwrap_or_else(|| Failure::own("the run was ended"))
    }

    /// Waits for `part`, which is due from `peer`, until the run's end or the deadline, whichever is first.
    ///
    /// # Errors
    /// The run's failure; or a sentence about the neighbour `peer`, which says that `what` was due.
    pub async fn wait<T>(
        &self,
        deadline: Duration,
        peer: impl Display,
        what: impl Fn() -> String,
        part: impl Future<Output = Option<T>>,
    ) -> Result<T, Failure> {
        let gone = || {
            let gone = || {
                let what = what();
                Failure::neighbour(format!(
                    "{peer} went away while {what} was due: check that host and the network to it, then start the run again"
                ))
            };
            self.failure().cloned().unwrap_or_else(gone)
        };
        tokio::select! {
            biased;
            value = part => value.ok_or_else(gone),
            () = self.ended() => Err(gone()),
            () = tokio::time::sleep(deadline) => {
                let waited = deadline.as_secs();
                Err(Failure::neighbour(format!("waited {waited} s for {peer}, while {} was due", what())))
            }
        }
    }
}
