//! The progress of a run: from its records to a status. Times are counted from any fixed moment of this process.

use super::status::{Metrics, Status};
use crate::record::{Evaluation, Step};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// The window before the newest step in which the pace is measured. It is long enough that evaluations and snapshots
/// count, and short enough to follow a change.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// The shortest distance between two marks, which bounds their number.
const SPACING: Duration = Duration::from_secs(1);

/// A moment, and the number of steps that were done at it.
#[derive(Clone, Copy, Debug)]
struct Mark {
    step: u64,
    at: Duration,
}

/// How far a run has come, over all its starts.
#[derive(Debug)]
pub struct Progress {
    /// The steps of the whole run.
    total: u64,
    /// The newest numbers; `None` before this start of the program knows any.
    metrics: Option<Metrics>,
    /// Moments within the window, in their order.
    marks: VecDeque<Mark>,
    /// The time of a step; `None` before two steps were seen.
    pace: Option<Duration>,
}

impl Progress {
    /// The progress of a run of `total` steps, before any step is known.
    pub fn of(total: u64) -> Self {
        Self { total, metrics: None, marks: VecDeque::new(), pace: None }
    }

    /// Goes on after `step` of a run with these newest records. The time until the next step includes the start, so it
    /// does not count for the pace.
    pub fn rewound(&mut self, step: u64, newest: Option<&Step>, evaluation: Option<&Evaluation>) {
        (self.pace, self.metrics) = (None, None);
        self.marks.clear();
        let metrics = newest.map(of_step).unwrap_or_default();
        let test_top1 = evaluation.and_then(|evaluation| evaluation.top1);
        self.metrics = Some(Metrics { step, test_top1, ..metrics });
    }

    /// Adds a training step that was done at `now`.
    pub fn trained(&mut self, step: &Step, now: Duration) {
        let test_top1 = self.metrics.and_then(|metrics| metrics.test_top1);
        self.metrics = Some(Metrics { test_top1, ..of_step(step) });
        while self.marks.get(1).is_some_and(|second| now.saturating_sub(second.at) >= WINDOW) {
            self.marks.pop_front();
        }
        if self.marks.back().is_none_or(|last| now.saturating_sub(last.at) >= SPACING) {
            self.marks.push_back(Mark { step: step.step, at: now });
        }
        self.pace = self.marks.front().and_then(|first| {
            let steps = step.step.checked_sub(first.step).filter(|steps| *steps > 0)?;
            Some(now.saturating_sub(first.at).div_f64(steps as f64))
        });
    }

    /// Adds an evaluation of the whole test set.
    pub fn evaluated(&mut self, evaluation: &Evaluation) {
        if let Some(metrics) = &mut self.metrics {
            metrics.test_top1 = evaluation.top1;
        }
    }

    /// The status of the run under way; `None` while no step is known. A run that has made all its steps still has its
    /// last evaluation ahead, so only a finished run shows 100.
    pub fn status(&self, at: SystemTime) -> Option<Status> {
        let metrics = self.metrics?;
        let percentage = (metrics.step * 100).checked_div(self.total).unwrap_or(0).min(99);
        let left = self.total.saturating_sub(metrics.step);
        let seconds = self.pace.map(|pace| pace.as_secs_f64() * left as f64);
        let remaining = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Some(Status { percentage, remaining, metrics, at })
    }

    /// The status of the run at its end. A run that ended early has no remaining time.
    pub fn end(&self, done: bool, at: SystemTime) -> Option<Status> {
        let status = self.status(at)?;
        Some(match done {
            true => Status { percentage: 100, remaining: Some(Duration::ZERO), ..status },
            false => Status { remaining: None, ..status },
        })
    }
}

fn of_step(step: &Step) -> Metrics {
    Metrics {
        step: step.step,
        epoch: Some(step.epoch),
        loss: step.loss,
        accuracy: step.accuracy,
        images_per_s: step.images_per_s,
        test_top1: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> Step {
        let line = format!(r#"{{"step":{step},"epoch":2,"loss":0.5,"accuracy":0.75,"images_per_s":32.0}}"#);
        serde_json::from_str(&line).unwrap()
    }

    fn evaluation(top1: f64) -> Evaluation {
        Evaluation { top1: Some(top1), ..Evaluation::default() }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn status(progress: &Progress) -> Status {
        progress.status(SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn nothing_is_told_before_anything_is_known() {
        let mut progress = Progress::of(10);
        progress.evaluated(&evaluation(0.5));
        assert_eq!(progress.status(SystemTime::UNIX_EPOCH), None);
        assert_eq!(progress.end(true, SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn a_run_has_its_share_of_all_steps_and_the_newest_numbers() {
        let mut progress = Progress::of(200);
        progress.trained(&step(1), seconds(10.0));
        let first = status(&progress);
        assert_eq!((first.percentage, first.remaining), (0, None), "one step has no pace");
        progress.trained(&step(3), seconds(11.0));
        progress.evaluated(&evaluation(0.625));
        let third = status(&progress);
        assert_eq!((third.percentage, third.remaining), (1, Some(seconds(98.5))));
        let due = Metrics {
            step: 3,
            epoch: Some(2),
            loss: Some(0.5),
            accuracy: Some(0.75),
            images_per_s: Some(32.0),
            test_top1: Some(0.625),
        };
        assert_eq!(third.metrics, due);
        progress.trained(&step(199), seconds(12.0));
        assert_eq!(status(&progress).metrics.test_top1, Some(0.625), "until the next evaluation");
    }

    #[test]
    fn only_a_run_that_is_done_has_a_hundred_percent() {
        let mut progress = Progress::of(20);
        progress.trained(&step(19), seconds(1.0));
        progress.trained(&step(20), seconds(2.0));
        assert_eq!((status(&progress).percentage, status(&progress).remaining), (99, Some(Duration::ZERO)));
        let end = |done| progress.end(done, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!((end(true).percentage, end(true).remaining), (100, Some(Duration::ZERO)));
        assert_eq!((end(false).percentage, end(false).remaining), (99, None));
        assert_eq!(end(true).metrics, status(&progress).metrics);
    }

    #[test]
    fn a_run_that_goes_on_has_its_earlier_steps_and_no_pace_of_its_start() {
        let mut progress = Progress::of(100);
        progress.trained(&step(69), seconds(1.0));
        progress.trained(&step(70), seconds(2.0));
        progress.rewound(50, Some(&step(50)), Some(&evaluation(0.5)));
        let back = status(&progress);
        assert_eq!((back.percentage, back.remaining), (50, None));
        assert_eq!(
            (back.metrics.step, back.metrics.loss, back.metrics.test_top1),
            (50, Some(0.5), Some(0.5))
        );
        progress.trained(&step(51), seconds(1000.0));
        progress.trained(&step(52), seconds(1001.0));
        assert_eq!(status(&progress).remaining, Some(seconds(48.0)));
        progress.rewound(0, None, None);
        assert_eq!(status(&progress).metrics, Metrics::default());
    }

    #[test]
    fn the_pace_is_that_of_the_window_and_its_marks_are_few() {
        let mut progress = Progress::of(10_000_000);
        let mut now = 0.0;
        for done in 1..=100_000 {
            now += if done <= 50_000 { 0.1 } else { 0.01 };
            progress.trained(&step(done), seconds(now));
        }
        assert!(progress.marks.len() <= 302, "{} marks", progress.marks.len());
        let pace = progress.pace.unwrap().as_secs_f64();
        assert!((0.0099..0.0101).contains(&pace), "{pace}");
    }
}
