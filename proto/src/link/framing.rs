//! Messages as parts on a stream: one header, then chunks of at most [`CHUNK`] bytes.

mod assembler;

pub use assembler::Assembler;

use super::Carried;
use crate::microbatch::Message;
use crate::tensor::TensorData;
use crate::wire;
use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{encoded_len_varint, key_len};

/// The most payload bytes in one part. The bound is large enough that per-message costs vanish, and small
/// enough that one part never holds much memory or blocks a connection for long.
pub const CHUNK: usize = 1 << 20;

/// A direction of the data plane, implemented by the generated type of its parts.
pub trait Direction: prost::Message + Default + Send + 'static {
    /// The content of the direction.
    const CARRIED: Carried;
    /// The name of a message of this direction, for sentences.
    const NAME: &'static str;
    /// Makes a part from a header.
    fn from_header(header: wire::Header) -> Self;
    /// Makes a part from a chunk.
    fn from_chunk(chunk: wire::Chunk) -> Self;
    /// The header or the chunk of this part; `None` when the sender left the part empty.
    fn into_part(self) -> Option<Part>;
}

/// One part of a message.
pub enum Part {
    /// The header, which opens a message.
    Header(wire::Header),
    /// A chunk, which continues the message.
    Chunk(wire::Chunk),
}

macro_rules! direction {
    ($type:ident, $part:path, $carried:ident, $name:literal) => {
        impl Direction for wire::$type {
            const CARRIED: Carried = Carried::$carried;
            const NAME: &'static str = $name;
            fn from_header(header: wire::Header) -> Self {
                use $part as P;
                Self { part: Some(P::Header(header)) }
            }
            fn from_chunk(chunk: wire::Chunk) -> Self {
                use $part as P;
                Self { part: Some(P::Chunk(chunk)) }
            }
            fn into_part(self) -> Option<Part> {
                use $part as P;
                self.part.map(|part| match part {
                    P::Header(header) => Part::Header(header),
                    P::Chunk(chunk) => Part::Chunk(chunk),
                })
            }
        }
    };
}
direction!(Activation, wire::activation::Part, Activations, "an activation");
direction!(ErrorSignal, wire::error_signal::Part, ErrorSignals, "an error signal");
direction!(LayerValues, wire::layer_values::Part, LayerValues, "a layer's values");

/// The parts of `message`, in the order in which they are sent. No payload byte is copied.
pub fn parts<D: Direction>(message: Message) -> impl Iterator<Item = D> + Send {
    let header = wire_header(&message);
    let chunks =
        message.tensors.into_iter().enumerate().flat_map(|(index, (_, tensor))| chunks(index as u32, tensor));
    std::iter::once(D::from_header(header)).chain(chunks.map(D::from_chunk))
}

fn wire_header(message: &Message) -> wire::Header {
    let tensors = message.tensors.iter().map(|(name, tensor)| wire::TensorHeader {
        name: name.clone(),
        kind: wire::Kind::from(tensor.kind()).into(),
        shape: tensor.shape().to_vec(),
        checksum: tensor.checksum(),
    });
    message.header.to_wire(tensors.collect())
}

/// The protobuf bytes of the parts of `message`, which are the same in both directions. The function reads no payload
/// byte.
pub fn wire_bytes(message: &Message) -> u64 {
    let tensors = (0..).zip(&message.tensors);
    let chunks = tensors.map(|(index, (_, tensor))| tensor_bytes(index, tensor.len()));
    header_bytes(&wire_header(message)) + chunks.sum::<u64>()
}

/// The protobuf bytes of the part that carries `header`.
pub(crate) fn header_bytes(header: &wire::Header) -> u64 {
    as_field(header.encoded_len()) as u64
}

/// The protobuf bytes of the parts that carry the tensor with this index, of `length` bytes.
pub(crate) fn tensor_bytes(index: u32, length: usize) -> u64 {
    let part = |start| as_field(chunk_bytes(index, start as u64, CHUNK.min(length - start))) as u64;
    (0..length).step_by(CHUNK).map(part).fold(0, u64::saturating_add)
}

/// The bytes of a chunk with `data` bytes.
fn chunk_bytes(tensor: u32, offset: u64, data: usize) -> usize {
    wire::Chunk { tensor, offset, data: Bytes::new() }.encoded_len() + as_field(data)
}

/// The bytes of a field with a small tag and `length` bytes of content: every part is such a field, and so is data.
fn as_field(length: usize) -> usize {
    key_len(1) + encoded_len_varint(length as u64) + length
}

fn chunks(tensor: u32, data: TensorData) -> impl Iterator<Item = wire::Chunk> + Send {
    let bytes = data.into_bytes();
    (0..bytes.len()).step_by(CHUNK).map(move |start| {
        let data = bytes.slice(start..bytes.len().min(start + CHUNK));
        wire::Chunk { tensor, offset: start as u64, data }
    })
}
