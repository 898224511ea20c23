//! The assembler of a link's messages: every part is checked against the contract before any of its bytes is taken.

use super::{CHUNK, Direction, Part};
use crate::error::{ProtocolError, short};
use crate::link::Contract;
use crate::microbatch::{Message, MicrobatchHeader};
use crate::spec::graph::Value;
use crate::tensor::{Kind, MAX_DIMENSIONS, Receiving, TensorData, byte_len};
use crate::wire;

/// Assembles messages from their parts, and refuses every part that the link's contract does not allow.
///
/// Each tensor's bytes are copied once, into one piece at [`ALIGNMENT`](crate::tensor::ALIGNMENT). The piece is reserved
/// when the tensor's first chunk is due: the contract has bounded its size by then, and at most one tensor of a link is
/// incomplete.
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
    /// The incomplete tensor; `None` before its first chunk.
    receiving: Option<Receiving>,
    /// The bytes that the last chunk still lacks.
    lacking: usize,
}

impl Assembler {
    /// An assembler for one direction of one link.
    pub fn new(contract: Contract) -> Self {
        Self { contract, open: None }
    }

    /// Takes one whole part; returns the message that it completes.
    ///
    /// # Errors
    /// [`ProtocolError`] for a part that is empty, out of order, or of another run, kind or shape than
    /// the contract says. The caller must then give the stream up.
    pub fn push<D: Direction>(&mut self, part: D) -> Result<Option<Message>, ProtocolError> {
        match part.into_part() {
            None => Err(ProtocolError::Missing("header or chunk")),
            Some(Part::Header(header)) => self.header(header),
            Some(Part::Chunk(chunk)) => {
                self.chunk(chunk.tensor, chunk.offset, chunk.data.len())?;
                self.fill(&chunk.data)
            }
        }
    }

    /// Takes a header, which opens a message; returns the message if it has no tensors.
    ///
    /// # Errors
    /// As [`Assembler::push`].
    pub fn header(&mut self, header: wire::Header) -> Result<Option<Message>, ProtocolError> {
        if let Some(open) = self.open.take() {
            return Err(ProtocolError::invalid(format!("a new header while {} is incomplete", open.header)));
        }
        let open = self.open(header)?;
        Ok(self.keep(open))
    }

    /// Checks that a chunk of `length` bytes at byte `offset` of the tensor with index `tensor` is due. The chunk's bytes
    /// follow, to [`Assembler::fill`].
    ///
    /// # Errors
    /// As [`Assembler::push`].
    pub fn chunk(&mut self, tensor: u32, offset: u64, length: usize) -> Result<(), ProtocolError> {
        match &mut self.open {
            Some(open) => open.chunk(tensor, offset, length),
            None => Err(ProtocolError::invalid("a chunk without a header")),
        }
    }

    /// Takes the next bytes of the chunk that [`Assembler::chunk`] allowed; returns the message that they complete.
    ///
    /// # Errors
    /// More bytes than the chunk has, or a tensor whose checksum is not its header's.
    pub fn fill(&mut self, bytes: &[u8]) -> Result<Option<Message>, ProtocolError> {
        self.fill_by(bytes.len(), |into| into.extend_from_slice(bytes))
    }

    /// As [`Assembler::fill`], for `length` bytes that cannot be lent: `copy` appends them to the given vector, which has
    /// room for them.
    ///
    /// # Errors
    /// As [`Assembler::fill`].
    pub fn fill_by(
        &mut self,
        length: usize,
        copy: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Option<Message>, ProtocolError> {
        match self.open.take() {
            Some(mut open) => {
                open.fill(length, copy)?;
                Ok(self.keep(open))
            }
            None => Err(ProtocolError::invalid("bytes without a chunk")),
        }
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

    /// The message of `open` if it is complete; the assembler keeps an incomplete one.
    fn keep(&mut self, open: Open) -> Option<Message> {
        if open.tensors.len() == open.values.len() {
            return Some(Message { header: open.header, tensors: open.tensors });
        }
        self.open = Some(open);
        None
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
        Ok(Open { header, values, headers, tensors: Vec::new(), receiving: None, lacking: 0 })
    }
}

impl Open {
    fn chunk(&mut self, tensor: u32, offset: u64, length: usize) -> Result<(), ProtocolError> {
        let index = self.tensors.len();
        let (kind, shape, _) = &self.headers[index];
        let want = byte_len(*kind, shape).unwrap_or(0);
        let received = self.receiving.as_ref().map_or(0, Receiving::len);
        if self.lacking > 0 {
            let lacking = self.lacking;
            return Err(ProtocolError::invalid(format!(
                "a new chunk while the last one lacks {lacking} bytes"
            )));
        }
        let in_order = tensor as usize == index && offset == received as u64;
        // Every chunk but a tensor's last must be full: a small chunk costs more work than it carries.
        if !in_order || length != CHUNK.min(want - received) {
            return Err(ProtocolError::invalid(format!(
                "a chunk of {length} bytes for tensor {tensor} at {offset} while byte {received} of {want} of tensor {index} is due"
            )));
        }
        self.receiving.get_or_insert_with(|| Receiving::new(want));
        self.lacking = length;
        Ok(())
    }

    fn fill(&mut self, length: usize, copy: impl FnOnce(&mut Vec<u8>)) -> Result<(), ProtocolError> {
        let lacking = self.lacking;
        let (Some(left), Some(receiving)) = (lacking.checked_sub(length), &mut self.receiving) else {
            return Err(ProtocolError::invalid(format!("{length} bytes of a chunk while {lacking} are due")));
        };
        receiving.extend_by(copy);
        self.lacking = left;
        match self.receiving.take_if(|receiving| receiving.is_whole()) {
            Some(whole) => self.tensor(whole),
            None => Ok(()),
        }
    }

    /// Takes the whole bytes of the next tensor.
    fn tensor(&mut self, whole: Receiving) -> Result<(), ProtocolError> {
        let index = self.tensors.len();
        let (kind, shape, checksum) = &self.headers[index];
        let name = &self.values[index].name;
        // Bytes that were damaged are no numbers of their sender, so the checksum comes first.
        if whole.checksum() != *checksum {
            let damaged = format!("'{name}' of {} was damaged on its way", self.header);
            return Err(ProtocolError::invalid(damaged));
        }
        let tensor = whole
            .into_tensor(*kind, shape.clone())
            .map_err(|error| ProtocolError::invalid(format!("'{name}' of {}: {error}", self.header)))?;
        self.tensors.push((name.clone(), tensor));
        Ok(())
    }
}
