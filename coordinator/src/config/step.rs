//! The size of a step: one update of W and B.

use super::Config;
use crate::pipeline::Schedule;

/// The size of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepSize {
    /// Its samples, but for the last step of an epoch.
    pub samples: u32,
    /// Its microbatches, but for a step of few samples.
    pub microbatches: u32,
    /// The samples of every microbatch, where the schedule is asynchronous.
    microbatch: Option<u32>,
}

impl StepSize {
    /// The microbatches of a step of so many samples. An asynchronous step has fewer microbatches where it has fewer
    /// samples, and every other step has smaller ones.
    pub fn cut_into(self, samples: usize) -> u32 {
        let most = self.microbatch.map_or(samples, |whole| samples.div_ceil(whole as usize));
        self.microbatches.min(u32::try_from(most).unwrap_or(u32::MAX))
    }
}

impl Config {
    /// Whether no step is flushed.
    pub fn is_asynchronous(&self) -> bool {
        self.pipeline.schedule == Schedule::Asynchronous
    }

    /// The size of a step: N samples in M microbatches, or `pipeline.update_every` microbatches of as many samples where
    /// the schedule is asynchronous.
    pub fn step(&self) -> StepSize {
        let (batch, all) = (self.train.batch, self.pipeline.microbatches);
        if !self.is_asynchronous() {
            return StepSize { samples: batch, microbatches: all, microbatch: None };
        }
        let (microbatches, whole) = (self.pipeline.update_every.unwrap_or(all), batch.div_ceil(all));
        StepSize { samples: microbatches * whole, microbatches, microbatch: Some(whole) }
    }
}
