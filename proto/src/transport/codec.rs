//! The codec of received messages: it counts a message's fields before it decodes them, because a field of two bytes
//! may take a hundred bytes in memory.

use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

/// The most fields of a message, where each element of a repeated field counts: more than the layers and values of a
/// stage, or the snapshots of a node.
const MAX_FIELDS: usize = 1 << 15;

/// prost's codec, which refuses a received message of more than `MAX_FIELDS` fields.
pub struct Counted<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Counted<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Counted<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CountedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        CountedDecoder(PhantomData)
    }
}

/// The receiving side of [`Counted`].
pub struct CountedDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for CountedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The bytes of a tensor are shared and not copied, here and by prost.
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        if !few_fields(bytes.clone()) {
            return Err(Status::invalid_argument(format!(
                "a message of more than {MAX_FIELDS} fields is none of this protocol"
            )));
        }
        U::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Whether `message` has at most [`MAX_FIELDS`] fields, up to its end or to the first field that cannot be decoded.
fn few_fields(mut message: Bytes) -> bool {
    for _ in 0..MAX_FIELDS {
        if !message.has_remaining() {
            return true;
        }
        let skipped = decode_key(&mut message)
            .and_then(|(tag, kind)| skip_field(kind, tag, &mut message, DecodeContext::default()));
        if skipped.is_err() {
            return true;
        }
    }
    !message.has_remaining()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_message_of_too_many_fields_is_found_before_it_is_decoded() {
        let stage = |layers| wire::Stage { layers: vec![Default::default(); layers], ..Default::default() };
        let few = |message: wire::Stage| few_fields(message.encode_to_vec().into());
        assert!(few(stage(MAX_FIELDS)));
        assert!(!few(stage(MAX_FIELDS + 1)));
        assert!(!few(wire::Stage { outputs: vec![String::new(); MAX_FIELDS], ..stage(1) }), "of all kinds");
        assert!(
            few_fields(Bytes::from_static(b"\x2a\xff\xff\xff\xff\x0f")),
            "what is torn is prost's to refuse"
        );
    }
}
