//! A connection as the server sees it: a stream that fails once the connection has to close.

use super::{Admission, ConnectionInfo};
use crate::transport::tls::Secured;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

/// A connection's place among those of its port, for as long as it lives.
pub(in crate::transport) struct Place {
    connection: ConnectionInfo,
    admission: Arc<Admission>,
    _room: OwnedSemaphorePermit,
}

impl Place {
    /// The place of `connection`, for which `admission` has `room`.
    pub(super) fn new(
        connection: ConnectionInfo,
        admission: Arc<Admission>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { connection, admission, _room: room }
    }

    /// The connection.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Notes that the connection is refused because of `why`, the rest of a sentence that begins with its peer.
    pub fn refuse(&self, why: &str) {
        self.admission.refuse(self.connection.peer(), why);
    }

    /// The connection itself, whose handshake is done.
    pub fn into_stream(self, stream: Secured) -> LimitedStream {
        LimitedStream { stream, closing: Box::pin(self.connection.clone().closing()), place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.connection.is_evicted() {
            self.admission.refused.connections.inc();
        }
        let number = self.connection.number();
        self.admission.admitted().retain(|connection| connection.number() != number);
    }
}

/// An accepted connection.
pub struct LimitedStream {
    stream: Secured,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    place: Place,
}

impl LimitedStream {
    /// Fails once the connection has to close, and wakes the caller at that time.
    fn stay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let connection = &self.place.connection;
        let stays = connection.is_identified()
            || !connection.is_evicted() && self.closing.as_mut().poll(cx).is_pending();
        if stays {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed to make room"))
    }
}

impl Connected for LimitedStream {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.place.connection.clone()
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stay(cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.place.admission.count(&self.place.connection, buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for LimitedStream {
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
