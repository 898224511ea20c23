//! The state of one connection, which admission and the port's services share.

use crate::identity::Identity;
use crate::transport::address::Origin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a handshake may last, and how long a connection in plaintext may stay without an answered call: both take
/// a few round trips.
pub(super) const FIRST_CALL: Duration = Duration::from_secs(10);

/// A connection as the services see it: an extension of each of its requests.
#[derive(Clone)]
pub struct ConnectionInfo(Arc<Entry>);

struct Entry {
    /// The place in the order of arrival.
    number: u64,
    arrived: Instant,
    peer: Origin,
    /// The identity that the certificate proves.
    identity: OnceLock<Identity>,
    /// Whether a call was answered.
    answered: AtomicBool,
    /// Bytes that the connection sent before it was identified.
    bytes: AtomicU64,
    /// The number of live [`Kept`] handles.
    kept: AtomicUsize,
    evicted: CancellationToken,
}

impl ConnectionInfo {
    /// A connection that has just come from `peer`.
    pub(super) fn new(peer: Origin) -> Self {
        static ARRIVALS: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Entry {
            number: ARRIVALS.fetch_add(1, Relaxed),
            arrived: Instant::now(),
            peer,
            identity: OnceLock::new(),
            answered: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            kept: AtomicUsize::new(0),
            evicted: CancellationToken::new(),
        }))
    }

    /// The place in the order of arrival.
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// Closes the connection.
    pub(super) fn evict(&self) {
        self.0.evicted.cancel();
    }

    /// Completes when the connection has been evicted.
    pub(super) async fn evicted(&self) {
        self.0.evicted.cancelled().await;
    }

    /// Whether the connection is to close.
    pub(super) fn is_evicted(&self) -> bool {
        self.0.evicted.is_cancelled() && !self.is_identified()
    }

    /// Whether the connection may be evicted.
    pub(super) fn may_go(&self) -> bool {
        !self.is_identified() && !self.0.evicted.is_cancelled()
    }

    /// Notes the identity that the caller has proved.
    pub(super) fn identify(&self, identity: Option<Identity>) {
        identity.map(|identity| self.0.identity.set(identity));
    }

    /// Counts bytes that the connection sent.
    pub(super) fn count(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes that the connection sent before it was identified.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// The process at the other end.
    pub fn peer(&self) -> Origin {
        self.0.peer
    }

    /// The identity that the caller has proved; `None` in plaintext.
    pub fn identity(&self) -> Option<&Identity> {
        self.0.identity.get()
    }

    /// Notes that a call of this connection was answered.
    pub fn answered(&self) {
        self.0.answered.store(true, Relaxed);
    }

    /// Keeps the connection for as long as the returned handle lives: the connection is part of a run.
    pub fn keep(&self) -> Kept {
        self.answered();
        self.0.kept.fetch_add(1, Relaxed);
        Kept(self.clone())
    }

    /// Whether the caller is known: by a certificate, or by its part in a run.
    pub(super) fn is_identified(&self) -> bool {
        self.identity().is_some() || self.0.kept.load(Relaxed) > 0
    }

    /// Completes when the connection has to close: it was evicted, or had no answered call in time.
    pub(in crate::transport) async fn closing(self) {
        let silent = async {
            tokio::time::sleep_until(self.0.arrived + FIRST_CALL).await;
            if self.0.answered.load(Relaxed) || self.is_identified() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.evicted() => {}
            () = silent => self.evict(),
        }
    }
}

/// A connection's part in a run. Once this handle is dropped, a connection in plaintext may be evicted again.
#[must_use = "the connection is kept for as long as this lives"]
pub struct Kept(ConnectionInfo);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.0.kept.fetch_sub(1, Relaxed);
    }
}
