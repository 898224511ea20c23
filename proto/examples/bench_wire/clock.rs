//! The time and the processor's time of the messages that count.

use super::{Load, Outcome, WARM};
use std::fs;
use std::time::{Duration, Instant};

/// What a measurement came to.
#[derive(Clone, Copy)]
pub struct Measured {
    /// MB/s.
    pub rate: f64,
    /// Seconds of all threads of this process for each GB.
    pub cpu: f64,
}

/// Runs from the last message that warms up to the last message.
pub struct Clock {
    load: Load,
    left: usize,
    start: (Instant, Duration),
}

impl Clock {
    pub fn new(load: Load) -> Self {
        Self { load, left: WARM, start: (Instant::now(), Duration::ZERO) }
    }

    /// Notes that a message has arrived.
    pub fn arrived(&mut self) -> Outcome<()> {
        if self.left > 0 {
            self.left -= 1;
            self.start = (Instant::now(), cpu()?);
        }
        Ok(())
    }

    /// What the messages so far came to.
    pub fn measured(&self) -> Outcome<Measured> {
        let (start, before) = self.start;
        let (took, cpu, bytes) = (start.elapsed(), cpu()? - before, self.load.counted() as f64);
        Ok(Measured { rate: bytes / took.as_secs_f64() / 1e6, cpu: 1e9 * cpu.as_secs_f64() / bytes })
    }
}

/// The processor's time of all threads of this process.
fn cpu() -> Outcome<Duration> {
    let mut all = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let times = fs::read_to_string(thread?.path().join("schedstat"))?;
        all += times.split(' ').next().map_or(Ok(0), str::parse)?;
    }
    Ok(Duration::from_nanos(all))
}
