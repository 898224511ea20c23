//! The pool: threads that load microbatches ahead of their use, and hand them out in order.
//!
//! ```text
//!              ┌─ piece ─▶ thread ─ piece ─┐
//!  request ────┼─ piece ─▶ thread ─ piece ─┼──▶ microbatch, in the order of the requests
//!              └─ piece ─▶ thread ─ piece ─┘
//! ```
//!
//! A loaded microbatch is a function of its request alone, so it does not depend on which thread is faster.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use proto::process::threads;
use tokio::sync::oneshot;

use super::{DataError, Loader, Microbatch, microbatches};

/// A microbatch to be loaded.
pub struct Request<T> {
    /// A tag that comes back with the microbatch.
    pub tag: T,
    /// The loader of the samples.
    pub loader: Loader,
    /// The epoch, which decides the augmentation.
    pub epoch: u64,
    /// The samples, in order.
    pub indices: Vec<usize>,
}

/// How far ahead of their use microbatches are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefetch {
    /// As far as keeps every thread at work: until there are two pieces per thread.
    Pieces,
    /// This many microbatches; 0 counts as 1, the one that is asked for.
    Microbatches(usize),
}

/// A pool that loads each microbatch in as many pieces as it has threads, and loads the next microbatches
/// meanwhile.
///
/// # Memory
/// With [`Prefetch::Pieces`], the pool asks for no further microbatch while two pieces per thread are loading or wait
/// to be taken. It holds at most two microbatches where each has a sample or more per thread, and fewer than three
/// pieces per thread whatever their sizes. With [`Prefetch::Microbatches`], it holds at most that many microbatches.
/// In addition each thread holds the sample that it decodes.
pub struct Pool<T> {
    /// `None` once the pool is being dropped. The queue's bound is that of the microbatches that are asked for.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    prefetch: Prefetch,
    asked: VecDeque<Asked<T>>,
}

/// A piece of a microbatch, on its way to a thread.
struct Job {
    loader: Loader,
    epoch: u64,
    indices: Vec<usize>,
    done: oneshot::Sender<Loaded>,
}

type Loaded = Result<Microbatch, DataError>;

/// A microbatch that was requested and is not taken yet.
struct Asked<T> {
    tag: T,
    loader: Loader,
    /// The pieces, each with the index of its first sample in the microbatch.
    pieces: Vec<(usize, oneshot::Receiver<Loaded>)>,
}

impl<T> Pool<T> {
    /// A pool of `threads` threads, at least one, that loads as far ahead as `prefetch` says.
    ///
    /// # Errors
    /// When the system refuses a thread, in one sentence.
    pub fn new(threads: usize, prefetch: Prefetch) -> Result<Self, String> {
        let threads = threads.max(1);
        let (jobs, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |_| {
            let receiver = receiver.clone();
            threads::spawn("loader", move || work(&receiver))
        };
        let threads = (0..threads).map(start).collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), threads, prefetch, asked: VecDeque::new() })
    }

    /// Whether another microbatch may be asked for.
    fn has_room(&self) -> bool {
        match self.prefetch {
            Prefetch::Pieces => {
                self.asked.iter().map(|asked| asked.pieces.len()).sum::<usize>() < 2 * self.threads.len()
            }
            Prefetch::Microbatches(count) => self.asked.len() < count.max(1),
        }
    }

    /// Returns the oldest microbatch that was asked for and not yet taken, once it is loaded; `None` without any.
    ///
    /// Before the pool waits, it calls `more` for requests as long as there is room. `more` learns whether nothing
    /// is loading: only then may it wait for the next request, because otherwise it would hold up the loaded
    /// microbatch. Call this outside of asynchronous code only, because it blocks for as long as decoding takes. A
    /// run's deadline for a minibatch's results covers this wait.
    pub fn next(&mut self, mut more: impl FnMut(bool) -> Option<Request<T>>) -> Option<(T, Loaded)> {
        while self.has_room() {
            let Some(request) = more(self.asked.is_empty()) else { break };
            self.ask(request);
        }
        let Asked { tag, loader, pieces } = self.asked.pop_front()?;
        let lost = |first| Err(loader.broken(first, "was lost with the thread that loaded it"));
        let pieces =
            pieces.into_iter().map(|(first, piece)| piece.blocking_recv().unwrap_or_else(|_| lost(first)));
        Some((tag, pieces.reduce(join).unwrap_or_else(|| loader.load(0, &[]))))
    }

    fn ask(&mut self, Request { tag, loader, epoch, indices }: Request<T>) {
        let ranges = microbatches(indices.len(), self.threads.len());
        let pieces = ranges.into_iter().map(|range| {
            let (done, piece) = oneshot::channel();
            let indices = indices[range].to_vec();
            let first = indices[0];
            if let Some(jobs) = &self.jobs {
                // A send fails only when the threads have ended, and then `piece` reports it.
                let _ = jobs.send(Job { loader: loader.clone(), epoch, indices, done });
            }
            (first, piece)
        });
        let pieces = pieces.collect();
        self.asked.push_back(Asked { tag, loader, pieces });
    }
}

impl<T> Drop for Pool<T> {
    /// Ends the threads: each finishes at most the piece that it is loading.
    fn drop(&mut self) {
        self.asked.clear();
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Joins two pieces; of two errors the earlier stays.
fn join(first: Loaded, second: Loaded) -> Loaded {
    let (mut whole, piece) = (first?, second?);
    whole.shape[0] += piece.shape[0];
    whole.images.extend(piece.images);
    whole.labels.extend(piece.labels);
    Ok(whole)
}

/// The loop of one thread, until the pool is dropped.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // One idle thread holds the lock and waits for a job; the others wait for the lock.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { loader, epoch, indices, done }) = job else { return };
        if !done.is_closed() {
            let _ = done.send(loader.load(epoch, &indices));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::Generated;
    use super::super::loader::tests::plain;
    use super::super::{Remainder, Sampler};
    use super::*;
    use std::sync::atomic::Ordering;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    const SHAPE: [usize; 3] = [1, 2, 2];

    /// Requests for consecutive microbatches of `size` samples, tagged with the first sample.
    fn requests(loader: &Loader, size: usize) -> impl FnMut(bool) -> Option<Request<usize>> + use<> {
        let (loader, mut starts) = (loader.clone(), (0..).step_by(size));
        move |_| {
            let tag = starts.next()?;
            Some(Request { tag, loader: loader.clone(), epoch: 0, indices: (tag..tag + size).collect() })
        }
    }

    #[test]
    fn microbatches_come_in_order_whichever_thread_is_faster() {
        // Delays of up to 3 ms that are unrelated to the order.
        let delay = |index| sleep(Duration::from_micros(index as u64 * 7919 % 3000));
        let loader = plain(Generated::new(1000, SHAPE, delay));
        for (threads, size) in [(1, 5), (3, 1), (4, 7), (8, 3)] {
            let mut pool = Pool::new(threads, Prefetch::Pieces).unwrap();
            let mut more = requests(&loader, size);
            for first in (0..).step_by(size).take(12) {
                let (tag, loaded) = pool.next(&mut more).unwrap();
                let indices: Vec<_> = (first..first + size).collect();
                let (whole, pooled) = (loader.load(0, &indices).unwrap(), loaded.unwrap());
                assert_eq!((tag, pooled.images.len()), (first, threads.min(size)));
                assert_eq!((pooled.shape, pooled.labels), (whole.shape, whole.labels));
                assert_eq!(pooled.images.concat(), whole.images.concat());
            }
        }
    }

    #[test]
    fn errors_and_panics_come_out_in_their_place() {
        let faulty = |index| {
            sleep(Duration::from_millis(if index < 6 { 5 } else { 0 }));
            assert_ne!(index, 10);
        };
        let loader = plain(Generated::new(20, SHAPE, faulty));
        let mut pool = Pool::new(4, Prefetch::Pieces).unwrap();
        let mut more = requests(&loader, 3);
        let mut sentence = || match pool.next(&mut more).unwrap() {
            (first, Ok(_)) => format!("{first} is whole"),
            (_, Err(error)) => error.to_string().split([',', ':']).next().unwrap().to_owned(),
        };
        let all: Vec<_> = (0..8).map(|_| sentence()).collect();
        assert_eq!(all[..3], ["0 is whole", "3 is whole", "6 is whole"]);
        assert_eq!(all[3], "sample 10 of generated made its decoder panic");
        assert_eq!(all[4..6], ["12 is whole", "15 is whole"]);
        // Of several missing samples, the error names the first.
        assert_eq!(all[6..], [20, 21].map(|index| format!("sample {index} was asked of generated")));
    }

    #[test]
    fn no_more_is_loaded_than_the_bound() {
        for (threads, size) in [(1, 4), (2, 4), (4, 3), (8, 1)] {
            let set = Arc::new(Generated::new(10_000, SHAPE, |_| {}));
            let mut more = requests(&plain(set.clone()), size);
            let mut pool = Pool::new(threads, Prefetch::Pieces).unwrap();
            let piece = size.div_ceil(threads);
            for taken in 1..=20 {
                pool.next(&mut more).unwrap().1.unwrap();
                sleep(Duration::from_millis(2));
                let ahead = set.decoded.load(Ordering::SeqCst) - taken * size;
                assert!(ahead < 3 * threads * piece, "{ahead} samples ahead of {threads} threads");
                assert!(size < threads || ahead <= 2 * size, "{ahead} samples are over two microbatches");
            }
        }
    }

    #[test]
    fn as_many_microbatches_are_loaded_ahead_as_are_wished_for() {
        for (threads, prefetch) in [(1, 1), (2, 1), (1, 5), (4, 3), (8, 0)] {
            let set = Arc::new(Generated::new(10_000, SHAPE, |_| {}));
            let mut more = requests(&plain(set.clone()), 4);
            let mut pool = Pool::new(threads, Prefetch::Microbatches(prefetch)).unwrap();
            for taken in 1..=20 {
                pool.next(&mut more).unwrap().1.unwrap();
                let due = 4 * (taken + prefetch.max(1) - 1);
                let begun = Instant::now();
                while set.decoded.load(Ordering::SeqCst) < due && begun.elapsed() < Duration::from_secs(20) {
                    sleep(Duration::from_millis(1));
                }
                sleep(Duration::from_millis(2));
                assert_eq!(set.decoded.load(Ordering::SeqCst), due, "{threads} threads, {prefetch} ahead");
            }
        }
    }

    #[test]
    fn requests_are_waited_for_only_where_nothing_is_loading() {
        let loader = plain(Generated::new(10, SHAPE, |_| {}));
        let mut only = requests(&loader, 2)(true);
        let mut idle = Vec::new();
        let mut more = |waits| {
            idle.push(waits);
            only.take()
        };
        let mut pool = Pool::new(2, Prefetch::Pieces).unwrap();
        assert_eq!(pool.next(&mut more).unwrap().0, 0);
        assert!(pool.next(&mut more).is_none());
        assert_eq!(idle, [true, false, true]);
    }

    #[test]
    fn dropping_the_pool_ends_its_threads() {
        let set = Arc::new(Generated::new(10_000, SHAPE, |_| sleep(Duration::from_millis(10))));
        let loader = plain(set.clone());
        let mut pool = Pool::new(4, Prefetch::Pieces).unwrap();
        pool.next(requests(&loader, 40)).unwrap().1.unwrap();
        drop(loader);
        let begun = Instant::now();
        drop(pool);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(Arc::strong_count(&set), 1, "no thread holds the set any more");
    }

    /// A set of 30 GB, of which the test holds nothing but the order and a few microbatches.
    #[test]
    fn a_set_larger_than_memory_is_loaded_in_the_order_of_an_epoch() {
        let samples = 10_000_000;
        let set = Arc::new(Generated::new(samples, [3, 32, 32], |_| {}));
        let loader = plain(set.clone());
        let sampler = Sampler::new(1, samples, 64, Remainder::Split).unwrap();
        let (number, order) = (1, sampler.epoch(1));
        let mut minibatches = (0..20).map_while(|index| order.minibatch(index));
        let mut more = |_| {
            let indices = minibatches.next()?.to_vec();
            Some(Request { tag: indices.clone(), loader: loader.clone(), epoch: number, indices })
        };
        let mut pool = Pool::new(loader.threads(), Prefetch::Pieces).unwrap();
        let mut seen = 0;
        while let Some((indices, loaded)) = pool.next(&mut more) {
            let loaded = loaded.unwrap();
            let images = loaded.images.concat();
            assert_eq!((loaded.shape, images.len()), ([64, 3, 32, 32], 64 * 3072));
            for ((&index, image), label) in indices.iter().zip(images.chunks(3072)).zip(loaded.labels) {
                assert!(image.iter().all(|&pixel| pixel == Generated::pixel(number, index)));
                assert_eq!(label as usize, index % 10);
            }
            seen += indices.len();
        }
        assert_eq!((seen, set.decoded.load(Ordering::SeqCst)), (20 * 64, 20 * 64));
        assert!(seen < samples && sampler.minibatches() == 156_250);
    }
}
