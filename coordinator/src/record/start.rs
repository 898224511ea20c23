//! The starts of a run, a part of `run.json`: when each began, and after which step it went on.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// The starts that the file keeps, the newest ones.
const MOST: usize = 1000;

/// One start that has taken over the history of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The number of the start.
    pub incarnation: u32,
    /// The reason for the start.
    pub how: How,
    /// Updates of the state with which the start went on; 0 for the beginning.
    pub after: u64,
    /// The last step that earlier starts had recorded: those behind `after` ran again.
    pub reached: u64,
    /// The moment, in seconds since the Unix epoch.
    pub unix_time: u64,
}

/// The reason for a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The run began.
    Begun,
    /// The user resumed the run.
    Resumed,
    /// The coordinator rolled the run back by itself, after a node failed or a snapshot could not be restored.
    RolledBack,
}

impl Start {
    /// A start at this moment.
    pub fn now(incarnation: u32, by_itself: bool, after: u64, reached: u64) -> Self {
        let how = match (after, reached) {
            (0, 0) => How::Begun,
            _ if by_itself => How::RolledBack,
            _ => How::Resumed,
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { incarnation, how, after, reached, unix_time: since.as_secs() }
    }
}

/// Adds a start to those of a run.
pub fn add(starts: &mut Vec<Start>, start: Start) {
    starts.push(start);
    starts.drain(..starts.len().saturating_sub(MOST));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_says_how_it_came_about_and_old_ones_go() {
        let how = |by_itself, after, reached| Start::now(1, by_itself, after, reached).how;
        assert_eq!([how(false, 0, 0), how(true, 0, 0)], [How::Begun; 2]);
        assert_eq!(
            [how(false, 0, 7), how(false, 7, 7), how(true, 5, 7)],
            [How::Resumed, How::Resumed, How::RolledBack]
        );
        let mut starts = Vec::new();
        (1..=1001).for_each(|incarnation| add(&mut starts, Start::now(incarnation, true, 1, 1)));
        assert_eq!((starts.len(), starts[0].incarnation, starts[999].incarnation), (1000, 2, 1001));
    }
}
