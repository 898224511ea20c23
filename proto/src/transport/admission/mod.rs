//! A port's door: how many connections it holds, how long one may stay without a call, and how much all
//! of them may send. None of it touches a connection that carries a run.
//!
//! ```text
//! stranger ──a call that is answered──▶ caller ──its stage, its run, a link──▶ kept
//!                                         caller ◀──replaced, or ended────── kept
//! ```
//!
//! A newcomer always gets in: where the port is full, whoever is the least known goes. So a neighbour
//! reaches its node through ten thousand idle connections of strangers, who cannot be told from it by
//! their address where all are on one host.

mod connection;
mod limited_stream;

pub use connection::{ConnectionInfo, Kept};
pub use limited_stream::LimitedStream;

use futures::{Stream, StreamExt};
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::TcpIncoming;

/// Connections of the data and of the control port. A run needs two and one; the rest is for checks,
/// reflection and those who come back before their old connection is known to be dead.
pub const GUESTS: usize = 64;
/// Connections of the health port: probes are few, and each is over in a moment.
pub const PROBES: usize = 16;
/// What all connections of a port that are not kept may have sent, together: some of the largest messages
/// that Configure takes. What is buffered for strangers is never more.
const HEARD: u64 = 16 * crate::transport::CONTROL_MESSAGE_LIMIT as u64;
/// How long the one that has to go may take to go.
const LEAVING: Duration = Duration::from_secs(1);
/// Turns that other tasks get before somebody has to go: to learn that bytes have come, to read them, and to
/// answer.
const LOOKS: usize = 4;

/// Opens a port at `address`, which `flag` names.
///
/// # Errors
/// One sentence, as for an address that is taken.
pub async fn listen(flag: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        format!("cannot listen on {address} ({error}): give {flag} another address, or port 0 for a free one")
    })
}

/// The connections that come in at `listener`, at most `most` at a time; `refused` counts those that were not
/// let in, or had to go.
pub fn guests(
    listener: TcpListener,
    most: usize,
    refused: Counter,
) -> impl Stream<Item = io::Result<LimitedStream>> {
    // The server's own setting reaches only listeners that tonic binds itself. Without it, every small
    // message waits for the other side's delayed acknowledgement, up to 40 ms.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let door = Arc::new(Door { room: Arc::new(Semaphore::new(most)), book: Mutex::default(), refused });
    incoming.filter_map(move |stream| {
        let door = door.clone();
        async move {
            match stream {
                Ok(stream) => {
                    let guest = door.clone().admit(stream).await;
                    if guest.is_none() {
                        door.refused.inc();
                    }
                    guest.map(Ok)
                }
                Err(error) => {
                    // Out of file descriptors, most likely: trying again at once would only spin.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Some(Err(error))
                }
            }
        }
    })
}

/// One port's connections.
struct Door {
    room: Arc<Semaphore>,
    book: Mutex<Vec<ConnectionInfo>>,
    refused: Counter,
}

impl Door {
    fn book(&self) -> MutexGuard<'_, Vec<ConnectionInfo>> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets a connection in; `None` where all who are in are kept.
    async fn admit(self: Arc<Self>, stream: TcpStream) -> Option<LimitedStream> {
        let room = match self.free().await {
            Some(room) => room,
            None => {
                self.evict(|visit| std::cmp::Reverse(visit.standing()))?;
                tokio::time::timeout(LEAVING, self.room.clone().acquire_owned()).await.ok()?.ok()?
            }
        };
        let visit = ConnectionInfo::new(stream.peer_addr().ok());
        self.book().push(visit.clone());
        Some(LimitedStream::new(stream, visit, self, room))
    }

    /// Room that is there already, or is as soon as those who wait to be looked at have been: where many
    /// come at once, nobody is sent away unheard.
    async fn free(&self) -> Option<OwnedSemaphorePermit> {
        for _ in 0..LOOKS {
            if let Ok(room) = self.room.clone().try_acquire_owned() {
                return Some(room);
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// Sends the one away for whom `order` is greatest, of those who are not kept.
    fn evict<K: Ord>(&self, order: impl Fn(&ConnectionInfo) -> K) -> Option<()> {
        let book = self.book();
        let staying = book.iter().filter(|visit| !visit.is_kept() && !visit.is_evicted());
        let least = staying.max_by_key(|visit| order(visit))?;
        tracing::debug!(peer = ?least.peer(), "a connection was closed to make room");
        least.evict();
        Some(())
    }

    /// Counts what a guest sent, and sends the loudest away when it is too much for all together.
    fn hear(&self, visit: &ConnectionInfo, bytes: usize) {
        if bytes == 0 || visit.is_kept() {
            return;
        }
        visit.hear(bytes);
        let all: u64 = self.book().iter().filter(|visit| !visit.is_kept()).map(ConnectionInfo::heard).sum();
        if all > HEARD {
            self.evict(ConnectionInfo::heard);
        }
    }
}

/// Notes the call that `request` opens, for services of which any call will do.
///
/// # Errors
/// Never; it is an interceptor.
pub fn note(request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
    visit(&request).inspect(|visit| visit.called());
    Ok(request)
}

/// The connection that `request` came on.
pub fn visit<T>(request: &tonic::Request<T>) -> Option<ConnectionInfo> {
    request.extensions().get::<ConnectionInfo>().cloned()
}
