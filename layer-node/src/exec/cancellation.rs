//! Why a run ends before its time: the first reason wins, and everybody who waits hears of it.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// A reason, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub why: String,
    /// Whether a neighbour is to blame: it probably has a better reason to tell.
    pub hearsay: bool,
}

impl Trouble {
    /// This node's own reason.
    pub fn own(why: impl std::fmt::Display) -> Self {
        Self { why: why.to_string(), hearsay: false }
    }

    /// What a neighbour did, or failed to do.
    pub fn neighbour(why: impl Into<String>) -> Self {
        Self { why: why.into(), hearsay: true }
    }

    /// The same, told by stage `index`.
    pub fn of_stage(self, index: u32) -> Self {
        Self { why: format!("stage {index}: {}", self.why), ..self }
    }

    /// As the coordinator hears it: `DataLoss` marks what is hearsay.
    pub fn status(&self) -> Status {
        match self.hearsay {
            true => Status::data_loss(&self.why),
            false => Status::aborted(&self.why),
        }
    }
}

/// Shared by everything that works for one run.
#[derive(Clone, Default)]
pub struct Cancellation {
    token: CancellationToken,
    trouble: Arc<OnceLock<Trouble>>,
}

impl Cancellation {
    /// Ends the run because of `trouble`, unless it has ended already.
    pub fn fail(&self, trouble: Trouble) {
        let _ = self.trouble.set(trouble);
        self.token.cancel();
    }

    /// Ends the run in peace.
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
    /// The reason for its end, once it has ended.
    pub fn check(&self) -> Result<(), Trouble> {
        match self.token.is_cancelled() {
            false => Ok(()),
            true => Err(self.trouble().cloned().unwrap_or_else(|| Trouble::own("the run was ended"))),
        }
    }

    /// The reason, once there is one.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.get()
    }
}
