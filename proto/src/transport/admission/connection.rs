//! What a door knows of one connection, and its services say of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a connection may stay without a call that is answered: a handshake takes a few round trips.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts everything that orders guests: arrivals and calls.
fn next() -> u64 {
    static CLOCK: AtomicU64 = AtomicU64::new(1);
    CLOCK.fetch_add(1, Relaxed)
}

/// A connection as the services see it, among the extensions of each of its requests.
#[derive(Clone)]
pub struct ConnectionInfo(Arc<Entry>);

struct Entry {
    number: u64,
    peer: Option<SocketAddr>,
    /// When its last call was answered; 0 before the first.
    called: AtomicU64,
    heard: AtomicU64,
    /// How many parts of a run keep it.
    kept: AtomicUsize,
    over: CancellationToken,
}

impl ConnectionInfo {
    /// One that has just come from `peer`.
    pub(super) fn new(peer: Option<SocketAddr>) -> Self {
        Self(Arc::new(Entry {
            number: next(),
            peer,
            called: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            kept: AtomicUsize::new(0),
            over: CancellationToken::new(),
        }))
    }

    /// Whether both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }

    /// Tells the connection to go.
    pub(super) fn evict(&self) {
        self.0.over.cancel();
    }

    /// Whether it was told to go.
    pub(super) fn is_evicted(&self) -> bool {
        self.0.over.is_cancelled()
    }

    /// Counts bytes that it sent.
    pub(super) fn hear(&self, bytes: usize) {
        self.0.heard.fetch_add(bytes as u64, Relaxed);
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Notes that a call of this connection was answered: it is no stranger any more.
    pub fn called(&self) {
        self.0.called.store(next(), Relaxed);
    }

    /// Keeps the connection for as long as the answer lives: it is part of a run.
    pub fn keep(&self) -> Kept {
        self.called();
        self.0.kept.fetch_add(1, Relaxed);
        Kept(self.clone())
    }

    /// Whether it is part of a run.
    pub(super) fn is_kept(&self) -> bool {
        self.0.kept.load(Relaxed) > 0
    }

    /// Bytes that it sent before it was kept.
    pub(super) fn heard(&self) -> u64 {
        self.0.heard.load(Relaxed)
    }

    /// The greater, the better known: callers above strangers, those who spoke above the silent.
    pub(super) fn standing(&self) -> (u64, bool, u64) {
        (self.0.called.load(Relaxed), self.heard() > 0, self.0.number)
    }

    /// Completes when the connection has to go.
    pub(super) async fn over(self) {
        let stranger = async {
            tokio::time::sleep(PATIENCE).await;
            if self.0.called.load(Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.0.over.cancelled() => {}
            () = stranger => self.0.over.cancel(),
        }
    }
}

/// A connection's part in a run. Dropped, it is a caller's connection again, with its place to lose.
#[must_use = "the connection is kept for as long as this lives"]
pub struct Kept(ConnectionInfo);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.called();
        self.0.0.kept.fetch_sub(1, Relaxed);
    }
}
