//! The end of an asynchronous start: the state between two drains cannot be saved, so the run goes on to the next drain, or
//! falls back to the newest snapshot.

use super::{Command, Supervisor};
use crate::run_error::{Cause, RunError};
use std::time::Duration;

/// How long an asynchronous run that the user stops may go on to its next drain: the state between two drains cannot be
/// saved.
const TO_THE_DRAIN: Duration = Duration::from_secs(20);
/// The same for a run that ends because a node is being stopped, which goes on for 5 s.
const TO_THE_DRAIN_OF_A_NODE: Duration = Duration::from_secs(3);

impl Supervisor<'_> {
    /// Whether the pipeline is empty after the newest step in it, so that no other step has to follow.
    pub(super) fn is_drained(&self) -> bool {
        self.submitted == self.opened.1 || self.course.drains(self.submitted)
    }

    /// Whether the run, which was told to end at `told`, is expected to reach the next drain soon enough, at the speed of
    /// this start.
    pub(super) fn reaches_drain(&self, now: Duration, told: Duration) -> bool {
        let (opened, before) = self.opened;
        let made = self.steps - before;
        let left = self.course.next_drain(self.submitted) - self.steps;
        let patience = if self.stopping { TO_THE_DRAIN } else { TO_THE_DRAIN_OF_A_NODE };
        let seconds = now.saturating_sub(opened).as_secs_f64() / made.max(1) as f64 * left as f64;
        made > 0 && now.as_secs_f64() + seconds <= (told + patience).as_secs_f64()
    }

    /// Ends this start between two drains of an asynchronous run, where no state can be saved.
    pub(super) fn fail_between_drains(&mut self) -> Command {
        let left = self.left.clone().filter(|_| !self.stopping);
        let (step, total, folder) = (self.steps, self.course.total, self.folder.display());
        let (saved, then) = match self.saved {
            0 => ("no step was saved yet".to_owned(), "begins anew".to_owned()),
            saved => (format!("the newest saved step is {saved}"), format!("goes on after step {saved}")),
        };
        let interrupted = || {
            RunError::new(
                Cause::Interrupted,
                format!(
                    "interrupted after step {step} of {total}, between two drains of the asynchronous pipeline, and {saved} (run \
                     folder {folder}): --resume auto {then}"
                ),
            )
        };
        self.fail(left.unwrap_or_else(interrupted))
    }
}
