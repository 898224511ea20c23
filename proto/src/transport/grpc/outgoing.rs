//! The outgoing direction of a link as the body of a call: a part's own bytes in one frame, and a chunk's data in the
//! next, which shares the tensor's memory.

use super::parts::PREFIX;
#[cfg(feature = "leaks")]
use crate::leak::{self, parts};
use crate::link::Observer;
#[cfg(not(feature = "leaks"))]
use crate::link::framing::parts;
use crate::link::framing::{Direction, Part};
use crate::microbatch::Message;
use crate::transport::codec::Received;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::body::Body;

/// A frame of a body, for [`body`].
pub(super) type Framed = Result<Frame<Bytes>, Status>;

/// The body of `frames`.
pub(super) fn body(frames: impl Stream<Item = Framed> + Send + 'static) -> Body {
    Body::new(StreamBody::new(frames))
}

/// The frames of every message in `queue`. A message is cut into parts only when its turn comes.
pub(super) fn frames<D: Direction + Received>(
    observer: Arc<dyn Observer>,
    queue: mpsc::Receiver<Message>,
) -> impl Stream<Item = Framed> + Send + use<D> {
    ReceiverStream::new(queue).flat_map(move |message| {
        observer.sent(D::CARRIED, &message);
        let bytes = parts::<D>(message).flat_map(pieces).filter(|bytes| !bytes.is_empty());
        stream::iter(bytes.map(|bytes| Ok(Frame::data(bytes))))
    })
}

/// The bytes of a part with its prefix, up to a chunk's data, and the data.
pub(super) fn pieces<D: Direction + Received>(part: D) -> [Bytes; 2] {
    let (own, _) = part.encoding();
    #[cfg(feature = "leaks")]
    let own = [own, leak::unknown_field(&part)].concat();
    let data = match part.into_part() {
        Some(Part::Chunk(chunk)) => chunk.data,
        Some(Part::Header(_)) | None => Bytes::new(),
    };
    let mut head = BytesMut::with_capacity(PREFIX + own.len());
    head.put_u8(0);
    // A part has at most a chunk's bytes, or a header's.
    head.put_u32((own.len() + data.len()) as u32);
    head.extend_from_slice(&own);
    [head.freeze(), data]
}
