//! A connection, in plaintext, within this host, or in TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

/// How long the other side of a refused connection may take to read the reason.
const LINGER: Duration = Duration::from_secs(1);
/// The most bytes that this side reads from it meanwhile.
const LEFT_OVER: u64 = 256 << 10;

/// A connection whose handshake is done.
pub(crate) enum Secured {
    /// A connection in plaintext.
    Plain(TcpStream),
    /// A connection within this host, between processes of one user.
    Unix(UnixStream),
    /// A connection in TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Ends a connection so that the other side can read the last bytes. A socket that is closed while unread bytes wait in
/// it is reset, and the reset overtakes an alert.
pub(crate) async fn linger(mut stream: TcpStream) {
    let _ = timeout(LINGER, async {
        let _ = stream.shutdown().await;
        let _ = tokio::io::copy(&mut stream.take(LEFT_OVER), &mut tokio::io::sink()).await;
    })
    .await;
}

/// Calls a method of the stream inside.
macro_rules! inside {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        match $self.get_mut() {
            Secured::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Secured::Unix(stream) => Pin::new(stream).$method($($argument),*),
            Secured::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inside!(self, poll_read, cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        inside!(self, poll_write, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inside!(self, poll_shutdown, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inside!(self, poll_write_vectored, cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Secured::Plain(stream) => stream.is_write_vectored(),
            Secured::Unix(stream) => stream.is_write_vectored(),
            Secured::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
