//! The count of a split: every sample is decoded once, on all cores, and what is counted is added up.
//!
//! All sums are of whole numbers, so the findings do not depend on which thread was faster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::data::{Examined, Samples};

/// The samples that a thread takes at once.
const TAKEN: usize = 8;

/// What was counted over the samples of a split.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// The samples of each label.
    pub labels: BTreeMap<u32, u64>,
    /// The samples that cannot be decoded, and why, as a phrase that follows the name; by index.
    pub broken: BTreeMap<usize, String>,
    /// The samples whose file cannot be read, and why, in a sentence; by index.
    pub unreadable: BTreeMap<usize, String>,
    /// How many images have each height and each width.
    pub heights: BTreeMap<usize, u64>,
    pub widths: BTreeMap<usize, u64>,
    /// How many pixels of each channel have each value.
    pub pixels: Vec<[u64; 256]>,
}

impl Count {
    /// Decodes all samples of `set` on `threads` threads. `progress` learns every now and then how many are done.
    pub(super) fn of(set: &dyn Samples, threads: usize, mut progress: impl FnMut(usize)) -> Self {
        let next = AtomicUsize::new(0);
        let done = AtomicUsize::new(0);
        let caller = thread::current();
        let one = || {
            let mut count = Count::default();
            loop {
                let first = next.fetch_add(TAKEN, Ordering::Relaxed);
                if first >= set.len() {
                    return count;
                }
                let last = (first + TAKEN).min(set.len());
                (first..last).for_each(|index| count.add(set, index));
                if done.fetch_add(last - first, Ordering::Relaxed) + last - first == set.len() {
                    caller.unpark();
                }
            }
        };
        thread::scope(|scope| {
            // Where the system refuses a thread, the others do its work; without any, the caller's does it all.
            let workers =
                (0..threads.max(1)).map_while(|_| thread::Builder::new().spawn_scoped(scope, one).ok());
            let workers: Vec<_> = workers.collect();
            // A thread that panicked leaves its samples undone.
            while done.load(Ordering::Relaxed) < set.len()
                && workers.iter().any(|worker| !worker.is_finished())
            {
                progress(done.load(Ordering::Relaxed));
                thread::park_timeout(super::PAUSE);
            }
            let counts = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            counts.reduce(Count::with).unwrap_or_else(one)
        })
    }

    /// Counts one sample.
    fn add(&mut self, set: &dyn Samples, index: usize) {
        let Examined { size: [height, width], label, pixels } = match set.examine(index) {
            Ok(examined) => examined,
            Err(error) => {
                self.unreadable.insert(index, error.to_string());
                return;
            }
        };
        *self.labels.entry(label).or_default() += 1;
        let pixels = match pixels {
            Ok(pixels) => pixels,
            Err(fault) => {
                self.broken.insert(index, fault);
                return;
            }
        };
        *self.heights.entry(height).or_default() += 1;
        *self.widths.entry(width).or_default() += 1;
        let [channels, rows, columns] = set.shape();
        self.pixels.resize(channels, [0; 256]);
        for (plane, values) in pixels.chunks_exact(rows * columns).zip(&mut self.pixels) {
            plane.iter().for_each(|&value| values[usize::from(value)] += 1);
        }
    }

    /// The sum of two counts of different samples.
    fn with(mut self, other: Self) -> Self {
        other.labels.into_iter().for_each(|(label, count)| *self.labels.entry(label).or_default() += count);
        other.heights.into_iter().for_each(|(side, count)| *self.heights.entry(side).or_default() += count);
        other.widths.into_iter().for_each(|(side, count)| *self.widths.entry(side).or_default() += count);
        self.broken.extend(other.broken);
        self.unreadable.extend(other.unreadable);
        if self.pixels.is_empty() {
            return Self { pixels: other.pixels, ..self };
        }
        let values = self.pixels.iter_mut().flatten().zip(other.pixels.iter().flatten());
        values.for_each(|(sum, more)| *sum += more);
        self
    }
}
