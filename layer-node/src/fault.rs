//! Why a run ends before its time: the first reason wins, and everybody who waits hears of it.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Shared by everything that works for one run.
#[derive(Clone, Default)]
pub struct Fault {
    token: CancellationToken,
    why: Arc<OnceLock<String>>,
}

impl Fault {
    /// Ends the run because of `why`, unless it has ended already.
    pub fn fail(&self, why: impl Into<String>) {
        let _ = self.why.set(why.into());
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

    /// The reason, once there is one.
    pub fn why(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }
}
