//! The codec of received messages. A message has one encoding, and a received message must be that encoding, byte for
//! byte: no unknown field, no spare byte, no other order. So both ends of a connection count and hash the same bytes,
//! and a message can carry nothing beside the fields of its schema.
//!
//! The codec also counts a message's fields before it decodes them, because a field of two bytes may take a hundred
//! bytes in memory.

mod canonical;
mod chunk;

pub use canonical::Received;
pub use chunk::ChunkHead;

use crate::error::ProtocolError;
use crate::failure::Failure;
#[cfg(feature = "leaks")]
use crate::leak::ProstEncoder;
use bytes::Buf;
use prost::Message;
use std::error::Error;
use std::marker::PhantomData;
use std::sync::Arc;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
#[cfg(not(feature = "leaks"))]
use tonic_prost::ProstEncoder;

/// prost's codec, which refuses a received message that is not its own encoding.
pub struct Canonical<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Canonical<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Canonical<T, U>
where
    T: Message + Send + 'static,
    U: Received,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CanonicalDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        CanonicalDecoder(PhantomData)
    }
}

/// The receiving side of [`Canonical`].
pub struct CanonicalDecoder<U>(PhantomData<U>);

impl<U: Received> Decoder for CanonicalDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The bytes of a tensor are shared and not copied, here and by prost.
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        U::receive(bytes).map(Some).map_err(refusal)
    }
}

/// The status of a message that this process refuses. Its source tells it from a status that the peer sent.
fn refusal(error: ProtocolError) -> Status {
    let mut status = Status::from(Failure::from(error.clone()));
    status.set_source(Arc::new(error));
    status
}

/// The reason for which this process refused the message that `status` reports; `None` where the status came from the
/// peer or from the connection.
pub fn refused_here(status: &Status) -> Option<&ProtocolError> {
    status.source()?.downcast_ref()
}
