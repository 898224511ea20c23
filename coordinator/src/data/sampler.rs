//! The order of samples, and the cut of minibatches into microbatches: functions of (seed, epoch, index).

use std::ops::Range;

use proto::seed;
use serde::{Deserialize, Serialize};

use super::DataError;
use super::draw::below;

/// The treatment of an epoch's last samples, if they don't fill a minibatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// `split`: they form a short minibatch, split evenly over the microbatches.
    #[default]
    Split,
    /// `drop`: they are left out of this epoch. The shuffle leaves out different samples in each epoch.
    Drop,
}

/// The order of training: the samples of each minibatch of each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    seed: u64,
    samples: usize,
    batch: usize,
    remainder: Remainder,
}

impl Sampler {
    /// The order for `samples` samples in minibatches of `batch`.
    ///
    /// # Errors
    /// A minibatch of no sample, or an epoch without a minibatch: no samples, or fewer samples than a minibatch
    /// while the remainder is dropped.
    pub fn new(seed: u64, samples: usize, batch: usize, remainder: Remainder) -> Result<Self, DataError> {
        if batch == 0 {
            return Err(DataError::setting("train.batch is 0", "set it to 1 or more"));
        }
        let sampler = Sampler { seed, samples, batch, remainder };
        if sampler.minibatches() == 0 {
            let wrong =
                format!("train.batch is {batch}, but there are {samples} samples and remainders are dropped");
            return Err(DataError::setting(wrong, "set a smaller batch, or split the remainder"));
        }
        Ok(sampler)
    }

    /// The number of minibatches in an epoch, at least 1.
    pub fn minibatches(&self) -> usize {
        match self.remainder {
            Remainder::Split => self.samples.div_ceil(self.batch),
            Remainder::Drop => self.samples / self.batch,
        }
    }

    /// The number of samples in an epoch's last minibatch, the smallest one: 1 to `batch`.
    pub fn last(&self) -> usize {
        self.range(self.minibatches() - 1).len()
    }

    /// The number of samples in minibatch `index` of an epoch.
    pub fn size(&self, index: usize) -> usize {
        self.range(index).len()
    }

    /// The epoch of the run's minibatch `step` and the minibatch's index in it, all counted from 0.
    pub fn locate(&self, step: u64) -> (u64, usize) {
        let minibatches = self.minibatches() as u64;
        (step / minibatches, (step % minibatches) as usize)
    }

    /// The order of epoch `epoch`, counted from 0: a shuffle (Fisher and Yates', from the last place down) that
    /// draws from the stream "shuffle", epoch. It takes 8 bytes per sample: keep it while the epoch lasts.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut rng = seed::rng(self.seed, &["shuffle", &epoch.to_string()]);
        let mut order: Vec<usize> = (0..self.samples).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, below(&mut rng, place as u64 + 1) as usize);
        }
        Epoch { sampler: *self, order }
    }

    /// The places in an epoch's order that minibatch `index` takes.
    fn range(&self, index: usize) -> Range<usize> {
        let start = index.saturating_mul(self.batch).min(self.samples);
        start..start.saturating_add(self.batch).min(self.samples)
    }
}

/// The order of the samples in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    sampler: Sampler,
    order: Vec<usize>,
}

impl Epoch {
    /// The samples of minibatch `index`, from 0, in order; `None` beyond the epoch's end.
    pub fn minibatch(&self, index: usize) -> Option<&[usize]> {
        (index < self.sampler.minibatches()).then(|| &self.order[self.sampler.range(index)])
    }
}

/// The minibatches of an evaluation: all `samples`, each once, in the order of the file. A minibatch has at most
/// `batch` (at least 1) samples. The last minibatch may be short; no sample is dropped.
pub fn evaluation(samples: usize, batch: usize) -> Vec<Range<usize>> {
    let batch = batch.max(1);
    let starts = (0..samples).step_by(batch);
    starts.map(|start| start..start.saturating_add(batch).min(samples)).collect()
}

/// Cuts a minibatch of `samples` into `count` microbatches: consecutive parts whose sizes differ by at most 1, the
/// larger ones first.
///
/// No part is empty: with fewer samples than `count` there is one part per sample, and no part for 0 samples. A
/// `count` of 0 counts as 1.
///
/// # Examples
/// ```
/// use coordinator::data::microbatches;
/// assert_eq!(microbatches(10, 4), [0..3, 3..6, 6..8, 8..10]);
/// assert_eq!(microbatches(2, 4), [0..1, 1..2]);
/// ```
pub fn microbatches(samples: usize, count: usize) -> Vec<Range<usize>> {
    let count = count.max(1).min(samples);
    let mut next = 0;
    let sizes = (0..count).map(|part| samples / count + usize::from(part < samples % count));
    sizes
        .map(|size| {
            next += size;
            next - size..next
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_every_sample_exactly_once() {
        for samples in 1..=40 {
            for batch in 1..=samples + 2 {
                let sampler = Sampler::new(7, samples, batch, Remainder::Split).unwrap();
                let epoch = sampler.epoch(3);
                let minibatches: Vec<_> = (0..).map_while(|index| epoch.minibatch(index)).collect();
                assert_eq!(minibatches.len(), sampler.minibatches());
                assert!(
                    minibatches[..minibatches.len() - 1].iter().all(|minibatch| minibatch.len() == batch)
                );
                assert_eq!(minibatches.last().unwrap().len(), sampler.last());
                assert_eq!(sorted(&minibatches), (0..samples).collect::<Vec<_>>());

                let dropping = Sampler::new(7, samples, batch, Remainder::Drop);
                assert_eq!(dropping.is_err(), batch > samples);
                let Ok(dropping) = dropping else { continue };
                let epoch = dropping.epoch(3);
                let kept: Vec<_> = (0..).map_while(|index| epoch.minibatch(index)).collect();
                // Dropping changes only the end of the epoch.
                assert_eq!(kept, minibatches[..samples / batch]);
            }
        }
    }

    fn sorted(minibatches: &[&[usize]]) -> Vec<usize> {
        let mut all = minibatches.concat();
        all.sort_unstable();
        all
    }

    #[test]
    fn microbatches_cover_a_minibatch_evenly() {
        for samples in 0..=40 {
            for count in 0..=samples + 2 {
                let parts = microbatches(samples, count);
                assert_eq!(parts.len(), count.max(1).min(samples));
                assert_eq!(
                    parts.iter().cloned().flatten().collect::<Vec<_>>(),
                    (0..samples).collect::<Vec<_>>()
                );
                let sizes: Vec<_> = parts.iter().map(Range::len).collect();
                assert!(sizes.is_sorted_by(|a, b| a >= b));
                assert!(sizes.first().is_none_or(|&largest| sizes[sizes.len() - 1] >= 1.max(largest - 1)));
            }
        }
    }

    #[test]
    fn evaluation_takes_the_whole_set_in_file_order() {
        for (samples, batch) in (0..=40).flat_map(|samples| (0..=42).map(move |batch| (samples, batch))) {
            let minibatches = evaluation(samples, batch);
            assert!(minibatches.iter().all(|minibatch| (1..=batch.max(1)).contains(&minibatch.len())));
            assert_eq!(
                minibatches.into_iter().flatten().collect::<Vec<_>>(),
                (0..samples).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn shuffles_differ_by_seed_and_epoch_and_can_be_had_again_at_any_step() {
        let sampler = |seed| Sampler::new(seed, 100, 8, Remainder::Split).unwrap();
        assert_eq!(sampler(1).epoch(0), sampler(1).epoch(0));
        assert_ne!(sampler(1).epoch(0).order, sampler(1).epoch(1).order);
        assert_ne!(sampler(1).epoch(0).order, sampler(2).epoch(0).order);
        assert_ne!(sampler(1).epoch(0).order, (0..100).collect::<Vec<_>>());
        assert_eq!(sampler(1).locate(0), (0, 0));
        assert_eq!(sampler(1).locate(12), (0, 12));
        assert_eq!(sampler(1).locate(13 * 4 + 5), (4, 5));
    }

    /// The shuffle is a part of a run's bits: a change here is a change of version. The expected order was computed
    /// apart from this code, from SHA-256, ChaCha8 and the shuffle as they are documented.
    #[test]
    fn the_shuffle_of_seed_0_stays_what_it_is() {
        let sampler = Sampler::new(0, 10, 10, Remainder::Split).unwrap();
        assert_eq!(sampler.epoch(0).order, [4, 2, 8, 6, 9, 3, 0, 5, 7, 1]);
    }

    #[test]
    fn a_batch_of_nothing_is_refused() {
        assert!(
            Sampler::new(0, 10, 0, Remainder::Split).unwrap_err().to_string().contains("train.batch is 0")
        );
        assert!(Sampler::new(0, 0, 1, Remainder::Split).is_err());
    }
}
