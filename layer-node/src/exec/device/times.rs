//! The times of actions on a GPU, by the events of the stream that computes.

use crate::torch::streams::Event;
use std::time::Duration;
use tch::TchError;

/// When an action computed, as times before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Computed {
    /// How long ago it began.
    pub began: Duration,
    /// How long ago it ended.
    pub ended: Duration,
}

/// The events of one action.
pub(super) struct Action<E> {
    begun: E,
    /// The times in which the stream waited for values of other nodes.
    pub(super) idle: Vec<[E; 2]>,
    /// `None` while the action is open.
    pub(super) ended: Option<E>,
}

impl<E: Event> Action<E> {
    pub(super) fn begun(begun: E) -> Self {
        Self { begun, idle: Vec::new(), ended: None }
    }

    /// When the action computed, once the stream has reached `now`. It has no part in which the stream waited: the action
    /// begins as much later, as it does on the worker's clock.
    pub(super) fn computed(&self, now: &E) -> Result<Computed, TchError> {
        let ended = match &self.ended {
            Some(ended) => ended.milliseconds_to(now)?,
            None => 0.0,
        };
        let mut idle = 0.0;
        for [from, to] in &self.idle {
            idle += from.milliseconds_to(to)?;
        }
        let began = self.begun.milliseconds_to(now)? - idle;
        Ok(Computed { began: duration(began.max(ended)), ended: duration(ended) })
    }
}

fn duration(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default()
}
