//! The first bytes of a server. In TLS 1.3 a client's handshake ends before the server has seen the client's
//! certificate, so only the first bytes show that the server accepted it. In plaintext, they show that the server
//! speaks the same protocol.

use super::alert::{self, of_tls};
use super::certificate::Certificate;
use super::stream::Secured;
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::link::Peer;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio_rustls::rustls::Error;

/// The verdict of a server's first bytes: its identity, or the reason why it refuses this process.
pub(super) type Greeting = Result<Option<Identity>, Failure>;

/// The first byte of a record of TLS that carries an alert.
const ALERT: u8 = 21;

/// A client's end of a connection, which reports the verdict of the first bytes that it reads.
pub(super) struct Greeted {
    stream: Secured,
    waiting: Option<(Waiting, oneshot::Sender<Greeting>)>,
}

/// The inputs for the verdict.
pub(super) struct Waiting {
    pub peer: Peer,
    /// The identity that the server has proved.
    pub identity: Option<Identity>,
    /// The certificate that this process showed the server.
    pub own: Option<Certificate>,
}

impl Greeted {
    /// A connection that sends the verdict of its first bytes to `sender`. A later connection has no receiver.
    pub fn new(stream: Secured, waiting: Waiting, sender: Option<oneshot::Sender<Greeting>>) -> Self {
        Self { stream, waiting: sender.map(|sender| (waiting, sender)) }
    }
}

impl Waiting {
    /// The verdict of the first read.
    fn judge(self, read: &io::Result<()>, bytes: &[u8]) -> Greeting {
        let Self { peer, identity, own } = self;
        match (read, bytes.first()) {
            (Ok(()), None) => Err(lost("the connection was closed at once")),
            (Ok(()), Some(&ALERT)) if own.is_none() => Err(refused(format!(
                "{peer} speaks TLS, and this program has no certificate: give it --tls-ca, --tls-cert and --tls-key"
            ))),
            (Ok(()), Some(_)) => Ok(identity),
            (Err(error), _) => Err(match (of_tls(error), own) {
                (Some(Error::AlertReceived(alert)), Some(own)) => {
                    refused(format!("{peer} {}", alert::refusal(&own, *alert)))
                }
                _ => lost(error),
            }),
        }
    }
}

pub(super) fn refused(sentence: String) -> Failure {
    Failure::new(FailureKind::Identity, sentence)
}

pub(super) fn lost(why: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Lost, why)
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if let Some((waiting, sender)) = self.waiting.take() {
            let _ = sender.send(waiting.judge(&read, &buffer.filled()[before..]));
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
