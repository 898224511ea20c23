//! Messages as parts on a stream: one header, then chunks of at most [`CHUNK`] bytes.

use super::{Carried, Contract};
use crate::error::{ProtocolError, short};
use crate::microbatch::{Message, MicrobatchHeader};
use crate::spec::graph::Value;
use crate::tensor::{Kind, MAX_DIMENSIONS, TensorData, byte_len};
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

/// Assembles messages from their parts, and refuses every part that the link's contract does not allow.
pub struct Assembler {
    contract: Contract,
    open: Option<Open>,
}

/// A message with a complete header and incomplete chunks.
struct Open {
    header: MicrobatchHeader,
    /// The tensors of the message's form.
    values: Vec<Value>,
    headers: Vec<(Kind, Vec<u64>, u64)>,
    tensors: Vec<(String, TensorData)>,
    pieces: Vec<Bytes>,
    received: usize,
}

impl Assembler {
    /// An assembler for one direction of one link.
    pub fn new(contract: Contract) -> Self {
        Self { contract, open: None }
    }

    /// Takes one part; returns the message that it completes.
    ///
    /// # Errors
    /// [`ProtocolError`] for a part that is empty, out of order, or of another run, kind or shape than
    /// the contract says. The caller must then give the stream up.
    pub fn push<D: Direction>(&mut self, part: D) -> Result<Option<Message>, ProtocolError> {
        let mut open = match (part.into_part(), self.open.take()) {
            (None, _) => return Err(ProtocolError::Missing("header or chunk")),
            (Some(Part::Header(header)), None) => self.open(header)?,
            (Some(Part::Chunk(chunk)), Some(mut open)) => {
                open.chunk(chunk)?;
                open
            }
            (Some(Part::Header(_)), Some(open)) => {
                return Err(ProtocolError::invalid(format!(
                    "a new header while {} is incomplete",
                    open.header
                )));
            }
            (Some(Part::Chunk(_)), None) => return Err(ProtocolError::invalid("a chunk without a header")),
        };
        if open.tensors.len() < open.values.len() {
            self.open = Some(open);
            return Ok(None);
        }
        Ok(Some(Message { header: open.header, tensors: std::mem::take(&mut open.tensors) }))
    }

    /// Whether the assembler is between two messages.
    pub fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    /// The expected part, for the refusal of another one: a tensor of the incomplete message, or a message with its
    /// first tensor. `None` if messages have no tensors, or may begin with different ones.
    pub fn due(&self) -> Option<String> {
        match (&self.open, &self.contract.forms[..]) {
            (Some(open), _) => {
                let tensor = &open.values.get(open.tensors.len())?.name;
                Some(format!("'{tensor}' of {}", open.header))
            }
            (None, [form]) => Some(format!("a message with '{}'", form.values.first()?.name)),
            (None, _) => None,
        }
    }

    fn open(&self, header: wire::Header) -> Result<Open, ProtocolError> {
        let tensors = header.tensors.len();
        let values = &self.contract.form(header.form)?.values;
        if tensors != values.len() {
            let want = values.len();
            let due = |name: &String| values.iter().any(|value| value.name == *name);
            let odd = header.tensors.iter().map(|tensor| &tensor.name).find(|name| !due(name));
            let odd = odd.map_or(String::new(), |name| format!(", with '{}',", short(name)));
            return Err(ProtocolError::invalid(format!(
                "a message of {tensors} tensors{odd} where {want} cross this cut"
            )));
        }
        let headers = header.tensors.iter().zip(values).map(|(tensor, value)| {
            let kind = Kind::try_from(tensor.kind())?;
            let mut shape = vec![u64::from(header.size)];
            shape.extend(&value.shape);
            let due = value.kind(self.contract.kind);
            let named = tensor.name == value.name && kind == due;
            if named && tensor.shape == shape && byte_len(kind, &shape).is_some_and(|bytes| bytes > 0) {
                return Ok((kind, shape, tensor.checksum));
            }
            let got: Vec<_> = tensor.shape.iter().take(MAX_DIMENSIONS).collect();
            Err(ProtocolError::invalid(format!(
                "'{}' as {kind} {got:?} where '{}' as {due} {shape:?} crosses this cut",
                short(&tensor.name),
                value.name,
            )))
        });
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let header = MicrobatchHeader::try_from(header)?;
        self.contract.check(&header)?;
        let values = values.clone();
        Ok(Open { header, values, headers, tensors: Vec::new(), pieces: Vec::new(), received: 0 })
    }
}

impl Open {
    fn chunk(&mut self, chunk: wire::Chunk) -> Result<(), ProtocolError> {
        let index = self.tensors.len();
        let (kind, shape, checksum) = &self.headers[index];
        let want = byte_len(*kind, shape).unwrap_or(0);
        let length = chunk.data.len();
        let in_order = chunk.tensor as usize == index && chunk.offset == self.received as u64;
        // Every chunk but a tensor's last must be full: a small chunk costs more memory than it carries.
        if !in_order || length != CHUNK.min(want - self.received) {
            return Err(ProtocolError::invalid(format!(
                "a chunk of {length} bytes for tensor {} at {} while byte {} of {want} of tensor {index} is due",
                chunk.tensor, chunk.offset, self.received
            )));
        }
        self.received += length;
        self.pieces.push(chunk.data);
        if self.received < want {
            return Ok(());
        }
        let tensor = TensorData::new(*kind, shape.clone(), std::mem::take(&mut self.pieces))?;
        if tensor.checksum() != *checksum {
            let name = &self.values[index].name;
            return Err(ProtocolError::invalid(format!(
                "'{name}' of {} was damaged on its way",
                self.header
            )));
        }
        self.tensors.push((self.values[index].name.clone(), tensor));
        self.received = 0;
        Ok(())
    }
}
