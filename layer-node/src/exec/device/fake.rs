//! A simulated GPU for tests. Its copies complete late, each after a delay of its own, so that later ones may overtake
//! earlier ones. Until then the copy holds NaN, and so does unwritten memory; bytes hold 255, and four of them are the
//! NaN of a scale. The CPU does the computing.

use crate::torch::streams::{Event, Streams};
use proto::seed;
use rand::RngExt;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tch::{Kind, TchError, Tensor};

/// The words of a fault after which every call fails.
pub const BROKEN: &str = "CUDA error: an illegal memory access was encountered";

/// Streams with late copies.
pub struct LateStreams {
    delays: rand_chacha::ChaCha8Rng,
    /// The number of copies after which every copy fails.
    good: usize,
}

/// The end of a copy, or a mark.
#[derive(Clone)]
pub struct LateEvent {
    done: Arc<(Mutex<bool>, Condvar)>,
    at: Instant,
    is_good: bool,
}

impl LateStreams {
    /// Streams whose delays are drawn from `seed`, and of which all copies after the first `good` fail.
    pub fn new(seed: u64, good: usize) -> Self {
        Self { delays: seed::rng(seed, &["late"]), good }
    }

    /// What memory of `kind` holds before it is written.
    fn unwritten(kind: Kind) -> f64 {
        if kind == Kind::Uint8 { 255.0 } else { f64::NAN }
    }

    /// Copies `from` to `to` later.
    fn copy(&mut self, from: &Tensor, to: &Tensor) -> LateEvent {
        let event = LateEvent { done: Arc::default(), at: Instant::now(), is_good: self.good > 0 };
        self.good = self.good.saturating_sub(1);
        let delay = Duration::from_micros(self.delays.random_range(0..4000));
        let (from, mut to, done) = (from.shallow_clone(), to.shallow_clone(), event.done.clone());
        thread::spawn(move || {
            thread::sleep(delay);
            to.copy_(&from);
            *done.0.lock().unwrap() = true;
            done.1.notify_all();
        });
        event
    }
}

impl Event for LateEvent {
    fn synchronize(&self) -> Result<(), TchError> {
        let done = self.done.0.lock().unwrap();
        drop(self.done.1.wait_while(done, |done| !*done).unwrap());
        if self.is_good { Ok(()) } else { Err(TchError::Torch(BROKEN.into())) }
    }

    fn milliseconds_to(&self, later: &Self) -> Result<f64, TchError> {
        let between = |from: &Self, to: &Self| (to.at - from.at).as_secs_f64() * 1e3;
        Ok(if later.at >= self.at { between(self, later) } else { -between(later, self) })
    }
}

impl Streams for LateStreams {
    type Event = LateEvent;

    fn device(&self) -> tch::Device {
        tch::Device::Cpu
    }

    fn pinned(&mut self, shape: &[i64], kind: Kind) -> Result<Tensor, TchError> {
        Tensor::f_full(shape, Self::unwritten(kind), (kind, tch::Device::Cpu))
    }

    fn upload(&mut self, pinned: &Tensor) -> Result<(Tensor, LateEvent), TchError> {
        let tensor = pinned.f_full_like(Self::unwritten(pinned.kind()))?;
        let copied = self.copy(pinned, &tensor);
        Ok((tensor, copied))
    }

    fn download(&mut self, source: &Tensor) -> Result<(Tensor, LateEvent), TchError> {
        let pinned = source.f_full_like(Self::unwritten(source.kind()))?;
        let copied = self.copy(source, &pinned);
        Ok((pinned, copied))
    }

    fn mark(&mut self) -> Result<LateEvent, TchError> {
        Ok(LateEvent {
            done: Arc::new((Mutex::new(true), Condvar::new())),
            at: Instant::now(),
            is_good: true,
        })
    }

    fn wait(&mut self, event: &LateEvent) -> Result<(), TchError> {
        event.synchronize()
    }
}
