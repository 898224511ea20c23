//! The worker's clock: time since the Unix epoch that never runs backwards within a process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads the system's clock once, and counts on from that time.
pub struct Clock {
    epoch_ns: u64,
    begun: Instant,
}

impl Clock {
    /// Starts counting.
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), begun: Instant::now() }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn now_ns(&self) -> u64 {
        self.epoch_ns.saturating_add(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
