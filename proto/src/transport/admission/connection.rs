//! The state of one connection, which admission and the port's services share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a connection may stay without an answered call: a handshake takes a few round trips.
const FIRST_CALL: Duration = Duration::from_secs(10);

/// The next number of the counter that orders arrivals and answered calls.
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
    /// The number of the last answered call; 0 before the first.
    answered: AtomicU64,
    /// Bytes that the connection sent before it was kept.
    bytes: AtomicU64,
    /// The number of live [`Kept`] handles.
    kept: AtomicUsize,
    evicted: CancellationToken,
}

impl ConnectionInfo {
    /// A connection that has just come from `peer`.
    pub(super) fn new(peer: Option<SocketAddr>) -> Self {
        Self(Arc::new(Entry {
            number: next(),
            peer,
            answered: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            kept: AtomicUsize::new(0),
            evicted: CancellationToken::new(),
        }))
    }

    /// Whether both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.number == other.0.number
    }

    /// Has the connection closed.
    pub(super) fn evict(&self) {
        self.0.evicted.cancel();
    }

    /// Whether the connection is to close.
    pub(super) fn is_evicted(&self) -> bool {
        self.0.evicted.is_cancelled()
    }

    /// Counts bytes that the connection sent.
    pub(super) fn count(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes that the connection sent before it was kept.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// The address at the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Notes that a call of this connection was answered. From now on, the connection is a caller's.
    pub fn answered(&self) {
        self.0.answered.store(next(), Relaxed);
    }

    /// Keeps the connection for as long as the returned handle lives: the connection is part of a run.
    pub fn keep(&self) -> Kept {
        self.answered();
        self.0.kept.fetch_add(1, Relaxed);
        Kept(self.clone())
    }

    /// Whether the connection is part of a run.
    pub(super) fn is_kept(&self) -> bool {
        self.0.kept.load(Relaxed) > 0
    }

    /// The order of eviction, the lowest first: a connection without an answered call goes before a connection with
    /// one, then a connection without bytes before a connection with bytes, then the older before the younger.
    pub(super) fn standing(&self) -> (u64, bool, u64) {
        (self.0.answered.load(Relaxed), self.bytes() > 0, self.0.number)
    }

    /// Completes when the connection has to close: it was evicted, or had no answered call in time.
    pub(super) async fn closing(self) {
        let silent = async {
            tokio::time::sleep(FIRST_CALL).await;
            if self.0.answered.load(Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.0.evicted.cancelled() => {}
            () = silent => self.evict(),
        }
    }
}

/// A connection's part in a run. Once this handle is dropped, the connection is a caller's again and may be evicted.
#[must_use = "the connection is kept for as long as this lives"]
pub struct Kept(ConnectionInfo);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.answered();
        self.0.0.kept.fetch_sub(1, Relaxed);
    }
}
