//! Admission to a port: bounds on the number of its connections, and on the time and the bytes of unidentified ones.
//! The connections of a run have no bound on time or bytes.
//!
//! ```text
//! accepted ──TLS: the certificate is verified───▶ identified, for as long as it lives
//!          ──plaintext: a call of the run────────▶ identified, for as long as its part in the run lasts
//! ```
//!
//! When a port is full, a new connection replaces the oldest unidentified one. Addresses decide nothing: on one host,
//! an address does not tell a neighbour from a stranger.

mod connection;
mod limited_stream;
mod rarely;

pub use connection::{ConnectionInfo, Kept};
pub use limited_stream::LimitedStream;

use super::address::Origin;
use super::listener::{Accepted, Listener};
use super::tls::{Callers, Stranger, receive};
use super::unix::check_user;
use connection::FIRST_CALL;
use futures::{Stream, StreamExt};
pub(super) use limited_stream::Place;
use prometheus_client::metrics::counter::Counter;
use rarely::Rarely;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// The most connections of a port.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All connections.
    pub connections: usize,
    /// The unidentified connections: handshakes under way, and in plaintext all connections outside of a run.
    pub unidentified: usize,
}

/// The bounds of the data port and of the control port. A run needs two connections there, or one. The rest is for
/// checks, reflection, and peers that connect again before the node knows that their old connection is dead.
pub const CALLS: Bounds = Bounds { connections: 64, unidentified: 32 };
/// The bounds of the health port and of the metrics port: probes are few and short, and nobody is identified there.
pub const PROBES: Bounds = Bounds { connections: 16, unidentified: 16 };
/// The most bytes that all unidentified connections of a port may have sent, together: some of the largest
/// messages that Configure takes. The bound limits the bytes buffered for strangers.
const MAX_BYTES: u64 = 16 * crate::transport::CONTROL_MESSAGE_LIMIT as u64;
/// How long an evicted connection may take to close.
const CLOSING: Duration = Duration::from_secs(1);
/// Connections that may wait for the server.
const ACCEPTED: usize = 4;

/// The connections that a port has refused.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// Connections for which the port had no room, and connections that it closed for room, for bytes, or for silence.
    pub connections: Counter,
    /// Connections whose handshake was refused by either end.
    pub handshakes: Counter,
}

/// The connections of `callers` that arrive at `listener`, for as long as the stream lives.
pub fn connections(
    listener: Listener,
    bounds: Bounds,
    refused: Refused,
    callers: Callers,
) -> impl Stream<Item = io::Result<LimitedStream>> {
    let (accepted, stream) = mpsc::channel(ACCEPTED);
    let admission = Admission::new(&listener, bounds, refused);
    tokio::spawn(async move {
        let handle = |place: Place, stream| {
            drop(tokio::spawn(place.receive(stream, callers.clone(), accepted.clone())))
        };
        tokio::select! {
            () = admission.accept(&listener, handle) => {}
            () = accepted.closed() => {}
        }
    });
    ReceiverStream::new(stream).map(Ok)
}

/// Passes each connection that arrives at the side socket `listener` to `handle`, with its place, until the returned
/// future is dropped. Only processes of this user get so far.
pub(super) async fn side_connections(
    listener: Listener,
    bounds: Bounds,
    refused: Refused,
    handle: impl Fn(Place, UnixStream),
) {
    let admission = Admission::new(&listener, bounds, refused);
    let of_this_host = |place: Place, stream| {
        let Accepted::Unix(stream) = stream else { return };
        match check_user(&stream) {
            Ok(()) => handle(place, stream),
            Err(why) => place.admission().refuse(place.connection().peer(), &why),
        }
    };
    admission.accept(&listener, of_this_host).await;
}

/// One port's connections.
struct Admission {
    /// The port's address, for the log.
    address: String,
    room: Arc<Semaphore>,
    bounds: Bounds,
    admitted: Mutex<Vec<ConnectionInfo>>,
    refused: Refused,
    log: Mutex<Rarely>,
}

impl Admission {
    fn new(listener: &Listener, bounds: Bounds, refused: Refused) -> Arc<Self> {
        let address = listener.address().map(|address| address.to_string()).unwrap_or_default();
        let room = Arc::new(Semaphore::new(bounds.connections));
        Arc::new(Self { address, room, bounds, admitted: Mutex::default(), refused, log: Mutex::default() })
    }

    fn admitted(&self) -> MutexGuard<'_, Vec<ConnectionInfo>> {
        self.admitted.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Accepts connections, and passes each to `handle`, which must not wait: a slow handshake delays no other one.
    async fn accept(self: &Arc<Self>, listener: &Listener, handle: impl Fn(Place, Accepted)) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // The process is most likely out of file descriptors: another attempt at once would only spin.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            match self.clone().admit(peer).await {
                Some(place) => handle(place, stream),
                None => _ = self.refused.connections.inc(),
            }
        }
    }

    /// Admits a connection; `None` where all others are identified.
    async fn admit(self: Arc<Self>, peer: Origin) -> Option<Place> {
        let unidentified = self.admitted().iter().filter(|one| one.may_go()).count();
        let room = self.room.clone().try_acquire_owned();
        let room = match room {
            Ok(room) if unidentified < self.bounds.unidentified => room,
            room => {
                self.evict(|oldest| std::cmp::Reverse(oldest.number()))?;
                match room {
                    Ok(room) => room,
                    Err(_) => {
                        tokio::time::timeout(CLOSING, self.room.clone().acquire_owned()).await.ok()?.ok()?
                    }
                }
            }
        };
        let connection = ConnectionInfo::new(peer);
        self.admitted().push(connection.clone());
        Some(Place::new(connection, self, room))
    }

    /// Evicts the unidentified connection with the greatest `order`.
    fn evict<K: Ord>(&self, order: impl Fn(&ConnectionInfo) -> K) -> Option<()> {
        let admitted = self.admitted();
        let evicted = admitted
            .iter()
            .filter(|connection| connection.may_go())
            .max_by_key(|connection| order(connection))?;
        tracing::debug!(peer = %evicted.peer(), "a connection was closed to make room");
        evicted.evict();
        Some(())
    }

    /// Counts bytes that `connection` sent. When all unidentified connections together sent more than [`MAX_BYTES`],
    /// the one that sent most is evicted.
    fn count(&self, connection: &ConnectionInfo, bytes: usize) {
        if bytes == 0 || connection.is_identified() {
            return;
        }
        connection.count(bytes);
        let all: u64 =
            self.admitted().iter().filter(|one| !one.is_identified()).map(ConnectionInfo::bytes).sum();
        if all > MAX_BYTES {
            self.evict(ConnectionInfo::bytes);
        }
    }

    /// Notes a refused handshake. A flood of them does not flood the log.
    fn refuse(&self, peer: Origin, why: &str) {
        self.refused.handshakes.inc();
        let mut log = self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(others) = log.line(why, Instant::now()) {
            let others =
                if others == 0 { String::new() } else { format!(" ({others} more of its kind since)") };
            tracing::warn!("refused at {}: {peer} {why}{others}", self.address);
        }
    }
}

impl Place {
    /// Receives the connection, and passes it on once its caller is known.
    async fn receive(self, stream: Accepted, callers: Callers, accepted: mpsc::Sender<LimitedStream>) {
        let evicted = self.connection().clone();
        let work = async {
            match tokio::time::timeout(FIRST_CALL, receive(stream, &callers)).await {
                Ok(Ok((stream, identity))) => {
                    self.connection().identify(identity);
                    let _ = accepted.send(self.into_stream(stream)).await;
                }
                Ok(Err(stranger)) => self.turn_away(stranger).await,
                Err(_) => self.connection().evict(),
            }
        };
        tokio::select! {
            () = work => {}
            () = evicted.evicted() => {}
        }
    }

    async fn turn_away(&self, stranger: Stranger) {
        if let Some(why) = &stranger.why {
            self.admission().refuse(self.connection().peer(), why);
        }
        stranger.dismiss().await;
    }
}

/// Notes the call that `request` opens as answered, for services where any call ends the wait for the first one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::address::ListenAddress;
    use crate::transport::listener::listen;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tonic::transport::server::Connected;

    /// A port with two places, which reads each connection to its end; also the connections as its services see them.
    async fn port(unidentified: usize) -> (SocketAddr, Refused, mpsc::Receiver<ConnectionInfo>) {
        let listener = listen("--listen", &"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let ListenAddress::Tcp(address) = listener.address().unwrap() else { panic!("a port of TCP") };
        let refused = Refused::default();
        let bounds = Bounds { connections: 2, unidentified };
        let mut accepted = Box::pin(connections(listener, bounds, refused.clone(), Callers::anybody()));
        let (sender, seen) = mpsc::channel(9);
        tokio::spawn(async move {
            while let Some(Ok(mut connection)) = accepted.next().await {
                sender.send(connection.connect_info()).await.unwrap();
                tokio::spawn(async move { while connection.read_u8().await.is_ok() {} });
            }
        });
        (address, refused, seen)
    }

    async fn connect(
        address: SocketAddr,
        seen: &mut mpsc::Receiver<ConnectionInfo>,
    ) -> (TcpStream, ConnectionInfo) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"P").await.unwrap();
        (stream, seen.recv().await.unwrap())
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte)).await;
        read.is_ok_and(|read| !matches!(read, Ok(1..)))
    }

    #[tokio::test]
    async fn the_oldest_unidentified_connection_goes_and_those_of_a_run_stay() {
        for unidentified in [1, 2] {
            let (address, refused, mut seen) = port(unidentified).await;
            let (mut first, of_run) = connect(address, &mut seen).await;
            let kept = of_run.keep();
            let (mut second, _) = connect(address, &mut seen).await;
            let (mut third, of_third) = connect(address, &mut seen).await;
            assert!(is_closed(&mut second).await && !is_closed(&mut first).await, "{unidentified}");
            let _kept = of_third.keep();
            let mut fourth = TcpStream::connect(address).await.unwrap();
            assert!(is_closed(&mut fourth).await, "all others are of a run");
            assert_eq!(refused.connections.get(), 2);
            drop(kept);
            let _fifth = connect(address, &mut seen).await;
            assert!(is_closed(&mut first).await && !is_closed(&mut third).await, "its run is over");
        }
    }

    #[tokio::test]
    async fn silence_ends_a_connection_and_an_answered_call_its_wait() {
        let (address, _, mut seen) = port(2).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let (mut answered, connection) = connect(address, &mut seen).await;
        connection.answered();
        tokio::time::pause();
        tokio::time::advance(FIRST_CALL + Duration::from_millis(1)).await;
        tokio::time::resume();
        assert!(is_closed(&mut silent).await && !is_closed(&mut answered).await);
    }
}
