//! A port's door: how many connections it holds, how long one may stay without a call, and how much all
//! of them may send. None of it touches a connection that carries a run.
//!
//! ```text
//! stranger ──a call that is answered──▶ caller ──Configure, Run or a link──▶ kept
//! ```
//!
//! A newcomer always gets in: where the port is full, whoever is the least known goes. So a neighbour
//! reaches its node through ten thousand idle connections of strangers, who cannot be told from it by
//! their address where all are on one host.

use futures::{Stream, StreamExt};
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpIncoming};

/// Connections of the data and of the control port. A run needs two and one; the rest is for checks,
/// reflection and those who come back before their old connection is known to be dead.
pub const GUESTS: usize = 64;
/// Connections of the health port: probes are few, and each is over in a moment.
pub const PROBES: usize = 16;
/// How long a connection may stay without a call that is answered: a handshake takes a few round trips.
const PATIENCE: Duration = Duration::from_secs(10);
/// What all connections of a port that are not kept may have sent, together: two of the largest messages
/// that Configure takes. What is buffered for strangers is never more.
const HEARD: u64 = 2 * crate::transport::CONTROL_MESSAGE_LIMIT as u64;
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
pub fn guests(listener: TcpListener, most: usize, refused: Counter) -> impl Stream<Item = io::Result<Guest>> {
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
    book: Mutex<Vec<Visit>>,
    refused: Counter,
}

impl Door {
    fn book(&self) -> MutexGuard<'_, Vec<Visit>> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets a connection in; `None` where all who are in are kept.
    async fn admit(self: Arc<Self>, stream: TcpStream) -> Option<Guest> {
        let room = match self.free().await {
            Some(room) => room,
            None => {
                self.dismiss(|visit| std::cmp::Reverse(visit.standing()))?;
                tokio::time::timeout(LEAVING, self.room.clone().acquire_owned()).await.ok()?.ok()?
            }
        };
        let visit = Visit(Arc::new(Entry {
            number: next(),
            peer: stream.peer_addr().ok(),
            called: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            kept: AtomicBool::new(false),
            over: CancellationToken::new(),
        }));
        self.book().push(visit.clone());
        Some(Guest { stream, over: Box::pin(visit.clone().over()), visit, door: self, _room: room })
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
    fn dismiss<K: Ord>(&self, order: impl Fn(&Visit) -> K) -> Option<()> {
        let book = self.book();
        let staying = book.iter().filter(|visit| !visit.is_kept() && !visit.0.over.is_cancelled());
        let least = staying.max_by_key(|visit| order(visit))?;
        tracing::debug!(peer = ?least.0.peer, "a connection was closed to make room");
        least.0.over.cancel();
        Some(())
    }

    /// Counts what a guest sent, and sends the loudest away when it is too much for all together.
    fn hear(&self, visit: &Visit, bytes: usize) {
        if bytes == 0 || visit.is_kept() {
            return;
        }
        visit.0.heard.fetch_add(bytes as u64, Relaxed);
        let all: u64 = self.book().iter().filter(|visit| !visit.is_kept()).map(Visit::heard).sum();
        if all > HEARD {
            self.dismiss(Visit::heard);
        }
    }
}

/// Counts everything that orders guests: arrivals and calls.
fn next() -> u64 {
    static CLOCK: AtomicU64 = AtomicU64::new(1);
    CLOCK.fetch_add(1, Relaxed)
}

/// A connection as the services see it, among the extensions of each of its requests.
#[derive(Clone)]
pub struct Visit(Arc<Entry>);

struct Entry {
    number: u64,
    peer: Option<SocketAddr>,
    /// When its last call was answered; 0 before the first.
    called: AtomicU64,
    heard: AtomicU64,
    kept: AtomicBool,
    over: CancellationToken,
}

impl Visit {
    /// Who is at the other end.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Notes that a call of this connection was answered: it is no stranger any more.
    pub fn called(&self) {
        self.0.called.store(next(), Relaxed);
    }

    /// Keeps the connection until its other end closes it: it is part of a run.
    pub fn keep(&self) {
        self.called();
        self.0.kept.store(true, Relaxed);
    }

    fn is_kept(&self) -> bool {
        self.0.kept.load(Relaxed)
    }

    fn heard(&self) -> u64 {
        self.0.heard.load(Relaxed)
    }

    /// The greater, the better known: callers above strangers, those who spoke above the silent.
    fn standing(&self) -> (u64, bool, u64) {
        (self.0.called.load(Relaxed), self.heard() > 0, self.0.number)
    }

    /// Completes when the connection has to go.
    async fn over(self) {
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

/// Notes the call that `request` opens, for services of which any call will do.
///
/// # Errors
/// Never; it is an interceptor.
pub fn note(request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
    visit(&request).inspect(|visit| visit.called());
    Ok(request)
}

/// The connection that `request` came on.
pub fn visit<T>(request: &tonic::Request<T>) -> Option<Visit> {
    request.extensions().get::<Visit>().cloned()
}

/// An accepted connection.
pub struct Guest {
    stream: TcpStream,
    visit: Visit,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    door: Arc<Door>,
    _room: OwnedSemaphorePermit,
}

impl Guest {
    /// Fails once the connection has to go; wakes the caller when it does.
    fn stay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let stays = self.visit.is_kept()
            || !self.visit.0.over.is_cancelled() && self.over.as_mut().poll(cx).is_pending();
        if stays {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed to make room"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.visit.0.over.is_cancelled() && !self.visit.is_kept() {
            self.door.refused.inc();
        }
        self.door.book().retain(|visit| visit.0.number != self.visit.0.number);
    }
}

impl Connected for Guest {
    type ConnectInfo = Visit;

    fn connect_info(&self) -> Visit {
        self.visit.clone()
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stay(cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.door.hear(&self.visit, buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stay(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stay(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
