//! What a run does, in order: training minibatches, evaluations and snapshots. A pure function of the
//! configuration, the data's size and the step to begin at.

use super::prepare::Prepared;
use crate::data::{Epoch, evaluation};
use crate::driver::Minibatch;
use proto::control::Align;
use proto::lane::Phase;
use std::collections::VecDeque;

/// One thing to put into the pipeline.
#[derive(Debug)]
pub enum Item {
    /// A minibatch to train on, or to evaluate.
    Minibatch(Minibatch),
    /// All stages write their state.
    Snapshot {
        /// Updates that it has seen.
        step: u64,
    },
    /// All stages take mirror steps.
    Align(Align),
}

/// Mirror steps that a node takes at a time: few enough that it is never silent for long.
const ALIGN: u64 = 20;

/// The items of a run, one after the other.
pub struct Course<'a> {
    prepared: &'a Prepared,
    /// The number of the next training step, counted from 1.
    next: u64,
    epoch: Option<(u64, Epoch)>,
    queue: VecDeque<Item>,
}

impl<'a> Course<'a> {
    /// The course of a run whose state has seen `done` updates.
    ///
    /// Placement these updates end an epoch, its evaluation comes first: a run that goes on may have missed it.
    pub fn new(prepared: &'a Prepared, done: u64) -> Self {
        let mut course = Self { prepared, next: done + 1, epoch: None, queue: VecDeque::new() };
        match done {
            0 => course.queue.extend(delay(prepared.mirror_delay())),
            done => course.evaluate_after(done),
        }
        course
    }

    fn epoch_of(&self, step: u64) -> u64 {
        self.prepared.sampler.locate(step - 1).0
    }

    /// Whether an evaluation follows `step`.
    fn evaluated(&self, step: u64) -> bool {
        step == self.prepared.total_steps() || self.epoch_of(step) != self.epoch_of(step + 1)
    }

    /// Queues the evaluation that follows `step`, if one does.
    fn evaluate_after(&mut self, step: u64) {
        if self.evaluated(step) {
            let evaluation = Self::evaluation(self.prepared, self.epoch_of(step));
            self.queue.extend(evaluation.into_iter().map(Item::Minibatch));
        }
    }

    /// Whether a snapshot follows `step`.
    fn saved(&self, step: u64) -> bool {
        let snapshot = &self.prepared.config.snapshot;
        let every = snapshot.every_steps;
        step == self.prepared.total_steps()
            || (every > 0 && step.is_multiple_of(every))
            || (snapshot.best && self.evaluated(step))
    }

    /// The evaluation of the whole test set, exactly once.
    pub fn evaluation(prepared: &Prepared, epoch: u64) -> Vec<Minibatch> {
        let ranges = evaluation(prepared.test_samples, prepared.config.train.batch as usize);
        let minibatch = |(index, range): (usize, std::ops::Range<usize>)| Minibatch {
            step: index as u64 + 1,
            phase: Phase::Evaluate,
            epoch,
            microbatches: prepared.microbatches(range.len()),
            indices: range.collect(),
            measure: false,
        };
        ranges.into_iter().enumerate().map(minibatch).collect()
    }

    fn train(&mut self) -> Option<Item> {
        let (total, step) = (self.prepared.total_steps(), self.next);
        if step > total {
            return None;
        }
        let (epoch, index) = self.prepared.sampler.locate(step - 1);
        if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.epoch = Some((epoch, self.prepared.sampler.epoch(epoch)));
        }
        let indices = self.epoch.as_ref()?.1.minibatch(index)?.to_vec();
        self.next += 1;
        let config = &self.prepared.config;
        if self.saved(step) {
            self.queue.push_back(Item::Snapshot { step });
        }
        self.evaluate_after(step);
        let layers_every = config.metrics.layers_every;
        let measure = config.alarm.kolen_pollack
            || step == 1
            || step == total
            || (layers_every > 0 && step % layers_every == 0);
        let microbatches = self.prepared.microbatches(indices.len());
        Some(Item::Minibatch(Minibatch { step, phase: Phase::Train, epoch, indices, microbatches, measure }))
    }
}

/// The delay phase of `steps` mirror steps, a few at a time.
fn delay(steps: u64) -> impl Iterator<Item = Item> {
    let starts = (0..steps).step_by(ALIGN as usize);
    starts.map(move |done| Item::Align(Align { done, steps: ALIGN.min(steps - done) }))
}

impl Iterator for Course<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.queue.pop_front().or_else(|| self.train())
    }
}
