//! The incoming direction of a link: the body of a call becomes messages in the port's queue.

use super::parts::PartReader;
use crate::link::Link;
use crate::link::framing::Direction;
use crate::microbatch::Message;
use crate::transport::codec::Received;
use crate::transport::reading::{self, Broken, Source, torn};
use crate::transport::status::failure_of;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

/// Which side of the call sends the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The caller. A caller that cancels its call ends its direction.
    Caller,
    /// The server, whose last frame says how the call ended.
    Server,
}

/// Reads messages into the port's queue until either end closes the link.
pub(super) async fn read<D: Direction + Received>(
    body: Body,
    sender: Sender,
    link: Link,
    received: mpsc::Sender<Message>,
) {
    let parts = PartReader::<D>::new(link.contract.clone());
    reading::read(Incoming { body, sender, rest: Bytes::new(), parts }, D::CARRIED, link, received).await;
}

/// The body of one direction of a call, as far as it has come.
struct Incoming<D> {
    body: Body,
    sender: Sender,
    /// The rest of the last frame.
    rest: Bytes,
    parts: PartReader<D>,
}

impl<D: Direction + Received> Source for Incoming<D> {
    async fn next(&mut self) -> Result<Option<Message>, Broken> {
        loop {
            if let Some(message) = self.parts.take(&mut self.rest)? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => self.told(frame.trailers_ref())?,
                },
                Some(Err(status)) if self.sender == Sender::Server || status.code() != Code::Cancelled => {
                    return Err(Broken::Told(failure_of(&status)));
                }
                None | Some(Err(_)) => return self.end(),
            }
        }
    }
}

impl<D: Direction + Received> Incoming<D> {
    /// Reads how the server ended the call.
    fn told(&self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        let status = trailers.filter(|_| self.sender == Sender::Server).and_then(Status::from_header_map);
        match status.filter(|status| status.code() != Code::Ok) {
            Some(status) => Err(Broken::Told(failure_of(&status))),
            None => Ok(()),
        }
    }

    fn end(&self) -> Result<Option<Message>, Broken> {
        if self.parts.is_idle() {
            return Ok(None);
        }
        Err(torn::<D>().into())
    }
}
