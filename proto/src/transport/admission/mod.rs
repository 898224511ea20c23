//! Admission to a port: bounds on its number of connections, on a connection's time without a call, and on the bytes
//! that all connections send. Admission never closes a connection that carries a run.
//!
//! ```text
//! unknown ──an answered call──▶ caller ──its stage, its run, a link──▶ kept
//!                               caller ◀──replaced, or ended────────── kept
//! ```
//!
//! Where the port is full, a new connection evicts a connection that is not kept. So a neighbour reaches its node
//! despite ten thousand idle unknown connections. On one host, an address does not tell a neighbour from an unknown
//! connection.

mod connection;
mod limited_stream;

pub use connection::{ConnectionInfo, Kept};
pub use limited_stream::LimitedStream;

use futures::{Stream, StreamExt};
use prometheus_client::metrics::counter::Counter;
use std::cmp::Reverse;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::TcpIncoming;

/// The most connections of the data port and of the control port. A run needs two and one. The rest is for checks,
/// reflection, and peers that connect again before the node knows that their old connection is dead.
pub const MAX_CONNECTIONS: usize = 64;
/// The most connections of the health port and of the metrics port: probes are few and short.
pub const MAX_PROBES: usize = 16;
/// The most bytes that all connections of a port that are not kept may have sent, together: some of the largest
/// messages that Configure takes. The bound limits the bytes buffered for unknown connections.
const MAX_BYTES: u64 = 16 * crate::transport::CONTROL_MESSAGE_LIMIT as u64;
/// How long an evicted connection may take to close.
const CLOSING: Duration = Duration::from_secs(1);
/// Turns that other tasks get before a connection is evicted: they need turns to notice bytes, to read them, and to
/// answer.
const TURNS: usize = 4;

/// Opens a port at `address`, which `flag` names.
///
/// # Errors
/// One sentence, for example where the address is in use.
pub async fn listen(flag: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    let otherwise = if address.port() == 0 { "" } else { ", or port 0 for a free one" };
    bound.map_err(|error| {
        format!("cannot listen on {address} ({error}): give {flag} another address{otherwise}")
    })
}

/// Whether other hosts may reach a port at `address`.
pub fn is_open(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// The connections that arrive at `listener`, at most `most` at a time; `refused` counts the connections that were
/// not admitted or were evicted.
pub fn connections(
    listener: TcpListener,
    most: usize,
    refused: Counter,
) -> impl Stream<Item = io::Result<LimitedStream>> {
    // The server's own setting reaches only listeners that tonic binds itself. Without it, every small
    // message waits for the other side's delayed acknowledgement, up to 40 ms.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let admission =
        Arc::new(Admission { room: Arc::new(Semaphore::new(most)), admitted: Mutex::default(), refused });
    incoming.filter_map(move |stream| {
        let admission = admission.clone();
        async move {
            match stream {
                Ok(stream) => {
                    let admitted = admission.clone().admit(stream).await;
                    if admitted.is_none() {
                        admission.refused.inc();
                    }
                    admitted.map(Ok)
                }
                Err(error) => {
                    // The process is most likely out of file descriptors: another attempt at once would only spin.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Some(Err(error))
                }
            }
        }
    })
}

/// One port's connections.
struct Admission {
    room: Arc<Semaphore>,
    admitted: Mutex<Vec<ConnectionInfo>>,
    refused: Counter,
}

impl Admission {
    fn admitted(&self) -> MutexGuard<'_, Vec<ConnectionInfo>> {
        self.admitted.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Admits a connection; `None` where all other connections are kept.
    async fn admit(self: Arc<Self>, stream: TcpStream) -> Option<LimitedStream> {
        let room = match self.free().await {
            Some(room) => room,
            None => {
                self.evict(|connection| Reverse(connection.standing()))?;
                tokio::time::timeout(CLOSING, self.room.clone().acquire_owned()).await.ok()?.ok()?
            }
        };
        let connection = ConnectionInfo::new(stream.peer_addr().ok());
        self.admitted().push(connection.clone());
        Some(LimitedStream::new(stream, connection, self, room))
    }

    /// Room for a connection, now or after a few turns of other tasks. Where many connections arrive at once, the
    /// turns let each be read before it can be evicted.
    async fn free(&self) -> Option<OwnedSemaphorePermit> {
        for _ in 0..TURNS {
            if let Ok(room) = self.room.clone().try_acquire_owned() {
                return Some(room);
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// Evicts the connection with the greatest `order` among the connections that are not kept.
    fn evict<K: Ord>(&self, order: impl Fn(&ConnectionInfo) -> K) -> Option<()> {
        let admitted = self.admitted();
        let staying = admitted.iter().filter(|connection| !connection.is_kept() && !connection.is_evicted());
        let evicted = staying.max_by_key(|connection| order(connection))?;
        tracing::debug!(peer = ?evicted.peer(), "a connection was closed to make room");
        evicted.evict();
        Some(())
    }

    /// Counts bytes that `connection` sent. When all connections together sent more than [`MAX_BYTES`], the
    /// connection that sent most is evicted.
    fn count(&self, connection: &ConnectionInfo, bytes: usize) {
        if bytes == 0 || connection.is_kept() {
            return;
        }
        connection.count(bytes);
        let all: u64 = self.admitted().iter().filter(|one| !one.is_kept()).map(ConnectionInfo::bytes).sum();
        if all > MAX_BYTES {
            self.evict(ConnectionInfo::bytes);
        }
    }
}

/// Notes the call that `request` opens as answered, for services where any call makes a connection a caller's.
///
/// # Errors
/// Never; it is an interceptor.
pub fn note(request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
    connection(&request).inspect(ConnectionInfo::answered);
    Ok(request)
}

/// The connection that `request` came on.
pub fn connection<T>(request: &tonic::Request<T>) -> Option<ConnectionInfo> {
    request.extensions().get::<ConnectionInfo>().cloned()
}
