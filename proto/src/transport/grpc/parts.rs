//! The parts of a link's messages, read from the bytes of a call as they come.
//!
//! ```text
//! 0, length ─▶ a chunk's head, in its own encoding ─▶ the chunk's bytes, straight into their tensor
//!          └─▶ every other part is gathered whole ─▶ the codec decides
//! ```

use crate::error::ProtocolError;
use crate::link::Contract;
use crate::link::framing::{Assembler, Direction};
use crate::microbatch::Message;
use crate::transport::DATA_MESSAGE_LIMIT;
use crate::transport::codec::{ChunkHead, Received};
use bytes::{Buf, Bytes};
use std::marker::PhantomData;

#[cfg(test)]
mod tests;

/// The bytes before each part: a zero, since parts are not compressed, and the part's length.
pub(super) const PREFIX: usize = 5;
/// Bytes of a part that are gathered before the part is judged: more than any chunk's head has.
const HEAD: usize = 32;

/// Reads messages from the bytes of one direction of a link.
pub struct PartReader<D> {
    assembler: Assembler,
    state: State,
    /// The gathered bytes of the prefix, the head or the part that is being read.
    gathered: Vec<u8>,
    direction: PhantomData<fn() -> D>,
}

/// The bytes that are due.
#[derive(Clone, Copy)]
enum State {
    /// A prefix.
    Prefix,
    /// The first bytes of a part of this length.
    Head(usize),
    /// All bytes of a part of this length.
    Whole(usize),
    /// This many bytes of a chunk.
    Data(usize),
}

impl<D: Direction + Received> PartReader<D> {
    /// A reader of the messages that `contract` allows.
    pub fn new(contract: Contract) -> Self {
        let assembler = Assembler::new(contract);
        Self { assembler, state: State::Prefix, gathered: Vec::new(), direction: PhantomData }
    }

    /// Whether the bytes so far end with a whole message.
    pub fn is_idle(&self) -> bool {
        self.assembler.is_idle() && matches!(self.state, State::Prefix) && self.gathered.is_empty()
    }

    /// Takes bytes from the front of `bytes`, up to the end of a message or of `bytes`; returns the message.
    ///
    /// # Errors
    /// The first part that is too long, not its own encoding, or not due. The caller must then give the stream up.
    pub fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Message>, ProtocolError> {
        while !bytes.is_empty() {
            let state = self.state;
            let message = match state {
                State::Data(left) => {
                    let bytes = bytes.split_to(left.min(bytes.len()));
                    self.fill(&bytes, left)?
                }
                State::Prefix => {
                    if self.gathers(bytes, PREFIX) {
                        self.state = State::Head(self.length()?);
                        self.gathered.clear();
                    }
                    None
                }
                State::Head(part) if self.gathers(bytes, part.min(HEAD)) => self.head(part)?,
                State::Whole(part) if self.gathers(bytes, part) => self.whole()?,
                State::Head(_) | State::Whole(_) => None,
            };
            // A part without bytes ends with its prefix.
            let message = match self.state {
                State::Head(0) => self.whole()?,
                _ => message,
            };
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    /// Gathers bytes from the front of `bytes` until there are `want`; whether there are.
    fn gathers(&mut self, bytes: &mut Bytes, want: usize) -> bool {
        let more = (want - self.gathered.len()).min(bytes.len());
        self.gathered.extend_from_slice(&bytes[..more]);
        bytes.advance(more);
        self.gathered.len() == want
    }

    /// The length of the part after the gathered prefix.
    fn length(&self) -> Result<usize, ProtocolError> {
        let mut prefix = &self.gathered[..];
        let (compressed, length) = (prefix.get_u8(), prefix.get_u32() as usize);
        let what = match (compressed, length) {
            (0, ..=DATA_MESSAGE_LIMIT) => return Ok(length),
            (0, _) => format!("of {length} bytes, where {DATA_MESSAGE_LIMIT} are the most"),
            _ => format!("marked by {compressed} in the place of 0: parts are never compressed"),
        };
        Err(ProtocolError::invalid(format!("{} has a part {what}", <D as Received>::NAME)))
    }

    /// Judges the first bytes of a part of `part` bytes: a chunk in its own encoding goes on without a copy of its own.
    fn head(&mut self, part: usize) -> Result<Option<Message>, ProtocolError> {
        let Some(ChunkHead { tensor, offset, data, length }) = ChunkHead::of(&self.gathered, part) else {
            self.state = State::Whole(part);
            return if self.gathered.len() == part { self.whole() } else { Ok(None) };
        };
        self.assembler.chunk(tensor, offset, data)?;
        let first = std::mem::take(&mut self.gathered);
        let message = self.fill(&first[length..], data);
        self.gathered = first;
        self.gathered.clear();
        message
    }

    /// Takes bytes of a chunk that lacks `left` bytes.
    fn fill(&mut self, bytes: &[u8], left: usize) -> Result<Option<Message>, ProtocolError> {
        self.state = match left - bytes.len() {
            0 => State::Prefix,
            left => State::Data(left),
        };
        self.assembler.fill(bytes)
    }

    /// Takes the gathered part.
    fn whole(&mut self) -> Result<Option<Message>, ProtocolError> {
        self.state = State::Prefix;
        let part = std::mem::take(&mut self.gathered);
        let part = D::receive(part.into()).map_err(|error| self.refusal(error))?;
        self.assembler.push(part)
    }

    /// The refusal of a part that is not its own encoding, with the message and the tensor to which it was to belong.
    fn refusal(&self, error: ProtocolError) -> ProtocolError {
        match self.assembler.due() {
            Some(due) => ProtocolError::Invalid(format!("{error}, while {due} was due")),
            None => error,
        }
    }
}
