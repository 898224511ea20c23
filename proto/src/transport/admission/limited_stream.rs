//! A connection as the server sees it: a stream that fails once the connection has to close.

use super::{Admission, ConnectionInfo};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

/// An accepted connection.
pub struct LimitedStream {
    stream: TcpStream,
    connection: ConnectionInfo,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    admission: Arc<Admission>,
    _room: OwnedSemaphorePermit,
}

impl LimitedStream {
    /// A connection for which `admission` has `room`.
    pub(super) fn new(
        stream: TcpStream,
        connection: ConnectionInfo,
        admission: Arc<Admission>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { stream, closing: Box::pin(connection.clone().closing()), connection, admission, _room: room }
    }

    /// Fails once the connection has to close, and wakes the caller at that time.
    fn stay(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let stays = self.connection.is_kept()
            || !self.connection.is_evicted() && self.closing.as_mut().poll(cx).is_pending();
        if stays {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed to make room"))
    }
}

impl Drop for LimitedStream {
    fn drop(&mut self) {
        if self.connection.is_evicted() && !self.connection.is_kept() {
            self.admission.refused.inc();
        }
        self.admission.admitted().retain(|connection| !connection.is(&self.connection));
    }
}

impl Connected for LimitedStream {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.connection.clone()
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
        self.admission.count(&self.connection, buffer.filled().len() - before);
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
