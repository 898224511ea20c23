//! A process's clock: time since the Unix epoch that never runs backwards within the process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads the system's clock once, and counts on from that time. Copies show the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch_ns: u64,
    begun: Instant,
}

impl Clock {
    /// Starts counting.
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch_ns: nanos(since.as_nanos()), begun: Instant::now() }
    }

    /// The same clock on a host whose system's clock is `ahead_ns` nanoseconds ahead of this host's.
    #[must_use]
    pub fn ahead(self, ahead_ns: i64) -> Self {
        Self { epoch_ns: self.epoch_ns.saturating_add_signed(ahead_ns), ..self }
    }

    /// Nanoseconds since the Unix epoch.
    pub fn now_ns(&self) -> u64 {
        self.epoch_ns.saturating_add(nanos(self.begun.elapsed().as_nanos()))
    }
}

fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
