//! The course of a run: mirror steps of the delay phase, training minibatches, evaluations and snapshots. The
//! course is a pure function of the configuration, the data's size and the first step.

use crate::config::{self, Config, StepSize};
use crate::data::{Epoch, Sampler, evaluation};
use crate::driver::{Following, Minibatch, Place};
use proto::control::{Align, Measure};
use proto::microbatch::Phase;
use std::collections::VecDeque;
use std::ops::Range;

/// One item to put into the pipeline.
#[derive(Clone, Debug)]
pub enum Item {
    /// A minibatch to train on, or to evaluate.
    Minibatch(Minibatch),
    /// All stages write their state.
    Snapshot {
        /// The number of updates that the state has seen.
        step: u64,
    },
    /// All stages take mirror steps.
    Align(Align),
}

/// Mirror steps that a node takes at a time: few enough that the node is never silent for long.
const ALIGN: u64 = 20;

/// The first steps have a timeline each, and of the others one among so many. The middle one of them is rarely a step that
/// measures layers, or one after an evaluation.
const TIMELINES: u64 = 16;

/// The whole course of a run.
#[derive(Clone, Debug)]
pub struct Course {
    /// The order of the training samples.
    pub sampler: Sampler,
    /// Training minibatches of the whole run.
    pub total: u64,
    /// Mirror steps before the first update.
    pub delay: u64,
    test_samples: usize,
    /// Samples and microbatches of a minibatch of an evaluation.
    evaluation: [u32; 2],
    step: StepSize,
    /// The steps after a step of which stages run forwards before its update; 0 where every step is flushed.
    lookahead: u64,
    snapshot: config::Snapshot,
    /// Minibatches between evaluations within an epoch; 0 for none.
    evaluate_every: u64,
    /// Minibatches between measurements of the layers; 0 measures only after the first and the last.
    measure_every: u64,
    /// Minibatches between measurements of the signals; 0 never measures them.
    signals_every: u64,
}

impl Course {
    /// The course under `config`, with training samples in the order of `sampler`, and `delay` mirror steps at first.
    /// Before the update of a step, stages run forwards of `lookahead` steps that follow it.
    pub fn new(config: &Config, sampler: Sampler, test_samples: usize, delay: u64, lookahead: u64) -> Self {
        Self {
            sampler,
            total: config.train.steps(sampler.minibatches() as u64),
            delay,
            test_samples,
            evaluation: [config.train.batch, config.pipeline.microbatches],
            step: config.step(),
            lookahead,
            snapshot: config.snapshot.clone(),
            evaluate_every: config.train.evaluate_every,
            measure_every: if config.alarm.kolen_pollack { 1 } else { config.metrics.layers_every },
            signals_every: config.metrics.signals_every(),
        }
    }

    /// The items that are left once the state has seen `done` updates.
    ///
    /// If an evaluation follows the last of these updates, it comes first: a resumed run may have missed it.
    pub fn items(&self, done: u64) -> Items<'_> {
        let queue = VecDeque::new();
        let mut items = Items { course: self, done, next: done + 1, epoch: None, queue };
        match done {
            0 => items.queue.extend(self.delay()),
            done => items.evaluate_after(done),
        }
        items
    }

    /// The evaluation of the whole test set, each sample once.
    pub fn evaluation(&self, epoch: u64) -> impl Iterator<Item = Minibatch> {
        let [batch, microbatches] = self.evaluation;
        let ranges = evaluation(self.test_samples, batch as usize).into_iter();
        ranges.zip(1..).map(move |(range, step): (Range<usize>, u64)| Minibatch {
            step,
            phase: Phase::Evaluate,
            epoch,
            microbatches: microbatches.min(range.len() as u32),
            indices: range.collect(),
            measure: Measure::Nothing,
            timeline: false,
            place: Place::default(),
        })
    }

    /// The delay phase, a few mirror steps at a time.
    fn delay(&self) -> impl Iterator<Item = Item> {
        let starts = (0..self.delay).step_by(ALIGN as usize);
        starts.map(|done| Item::Align(Align { done, steps: ALIGN.min(self.delay - done) }))
    }

    /// Whether the pipeline is empty after `step`: always, or in an asynchronous run before an evaluation, a snapshot and
    /// the end of an epoch.
    pub fn drains(&self, step: u64) -> bool {
        self.lookahead == 0 || self.evaluated(step) || self.saved(step)
    }

    /// The first step from `step` on after which the pipeline is empty.
    pub fn next_drain(&self, step: u64) -> u64 {
        (step..self.total).find(|step| self.drains(*step)).unwrap_or(self.total)
    }

    /// The number of steps that follow a step and are under way with it, where the pipeline is full.
    pub fn lookahead(&self) -> u64 {
        self.lookahead
    }

    /// The place of `step` between two drains, of which the first one may be the beginning of a start after `done`
    /// updates.
    fn place(&self, step: u64, done: u64) -> Place {
        let begins = step == done + 1 || self.drains(step - 1);
        let last = (step..step + self.lookahead).find(|step| self.drains(*step));
        let following = step + 1..=last.unwrap_or(step + self.lookahead).min(self.total);
        let following = following.map(|step| {
            let samples = self.sampler.size(self.sampler.locate(step - 1).1);
            let (measure, timeline) = (self.measured(step), self.has_timeline(step));
            Following {
                samples: samples as u32,
                microbatches: self.step.cut_into(samples),
                measure,
                timeline,
            }
        });
        Place { begins, following: following.collect() }
    }

    fn epoch_of(&self, step: u64) -> u64 {
        self.sampler.locate(step.saturating_sub(1)).0
    }

    /// Whether `step` is the last of its epoch.
    pub fn ends_epoch(&self, step: u64) -> bool {
        self.epoch_of(step) != self.epoch_of(step + 1)
    }

    /// Whether an evaluation follows `step`.
    fn evaluated(&self, step: u64) -> bool {
        let every = self.evaluate_every;
        step == self.total || self.ends_epoch(step) || (every > 0 && step.is_multiple_of(every))
    }

    /// The newest step before `step` that an evaluation follows.
    pub fn evaluated_before(&self, step: u64) -> Option<u64> {
        let before = step.saturating_sub(1);
        let last = |every: u64| before.checked_div(every).map(|times| times * every);
        let newest = last(self.sampler.minibatches() as u64).max(last(self.evaluate_every));
        newest.filter(|newest| *newest > 0)
    }

    /// Whether a snapshot follows `step`.
    fn saved(&self, step: u64) -> bool {
        let every = self.snapshot.every_steps;
        step == self.total
            || (every > 0 && step.is_multiple_of(every))
            || (self.snapshot.best && self.evaluated(step))
    }

    /// Whether the processes keep a timeline of `step`. The report shows one of the last of them, so that they are rare
    /// once there are some.
    fn has_timeline(&self, step: u64) -> bool {
        step <= TIMELINES || step % TIMELINES == TIMELINES / 2
    }

    /// The measurements of the layers in `step`.
    fn measured(&self, step: u64) -> Measure {
        let ends = step == 1 || step == self.total;
        let due = |every: u64| every > 0 && (ends || step.is_multiple_of(every));
        Measure::of(ends || due(self.measure_every), due(self.signals_every))
    }
}

/// The items of a run, from some step on.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    course: &'a Course,
    /// The updates before the first of these items.
    done: u64,
    /// The number of the next training step, counted from 1.
    next: u64,
    epoch: Option<(u64, Epoch)>,
    queue: VecDeque<Item>,
}

impl Items<'_> {
    fn evaluate_after(&mut self, step: u64) {
        if self.course.evaluated(step) {
            let evaluation = self.course.evaluation(self.course.epoch_of(step));
            self.queue.extend(evaluation.map(Item::Minibatch));
        }
    }

    fn train(&mut self) -> Option<Item> {
        let (course, step) = (self.course, self.next);
        if step > course.total {
            return None;
        }
        let (epoch, index) = course.sampler.locate(step - 1);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.epoch = Some((epoch, course.sampler.epoch(epoch)));
        }
        let indices = self.epoch.as_ref()?.1.minibatch(index)?.to_vec();
        self.next += 1;
        if course.saved(step) {
            self.queue.push_back(Item::Snapshot { step });
        }
        self.evaluate_after(step);
        let microbatches = course.step.cut_into(indices.len());
        let measure = course.measured(step);
        let (phase, timeline, place) =
            (Phase::Train, course.has_timeline(step), course.place(step, self.done));
        Some(Item::Minibatch(Minibatch {
            step,
            phase,
            epoch,
            indices,
            microbatches,
            measure,
            timeline,
            place,
        }))
    }
}

impl Iterator for Items<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.queue.pop_front().or_else(|| self.train())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn matrices_and_signals_are_measured_in_steps_of_their_own() {
        let text = "train.batch = 4\n[[layer]]\nkind = \"flatten\"\n[[layer]]\nkind = \"linear\"\nout = 10";
        let steps = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            let config = config::parse(text, "c.toml", &keys, &Environment::empty()).unwrap();
            let sampler = Sampler::new(0, 28, 4, config.train.remainder).unwrap();
            let course = Course::new(&config, sampler, 4, 0, 0);
            let due = |measure: Measure| {
                let steps = (1..=7).filter(|step| course.measured(*step) >= measure);
                steps.map(|step: u64| step.to_string()).collect::<String>()
            };
            [Measure::Matrices, Measure::Signals].map(due)
        };
        let keys = |signals: &'static str| ["train.epochs=1", "metrics.layers_every=3", signals];
        assert_eq!(steps(&keys("")[..2]), ["1367", "1367"]);
        assert_eq!(steps(&keys("metrics.signals_every=0")), ["1367", ""]);
        assert_eq!(
            steps(&keys("metrics.signals_every=4")),
            ["13467", "147"],
            "signals bring the matrices along"
        );
    }
}
