//! The receiving end of one direction: it assembles messages from the parts on the socket and the bytes in slots.

use super::frame::{Frames, NoFrame, append};
use super::ring::Received;
use super::socket;
use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
use crate::link::Contract;
use crate::link::framing::{Assembler, Direction};
use crate::microbatch::Message;
use crate::transport::reading::{Broken, Source, torn};
use crate::wire::{self, SharedPart, shared_part};
use bytes::BytesMut;
use std::io;
use std::marker::PhantomData;
use tokio::net::UnixStream;

/// The receiving end.
pub(super) struct Receiver<D> {
    socket: UnixStream,
    slots: Received,
    parts: Frames,
    assembler: Assembler,
    direction: PhantomData<fn() -> D>,
}

impl<D: Direction> Receiver<D> {
    /// The receiving end on `socket`, for messages of `contract`. `parts` have come already.
    pub fn new(socket: UnixStream, slots: Received, parts: Frames, contract: Contract) -> Self {
        Self { socket, slots, parts, assembler: Assembler::new(contract), direction: PhantomData }
    }

    /// Takes a chunk whose bytes lie in a slot.
    fn slot(&mut self, chunk: &wire::SlotChunk) -> Result<Option<Message>, Broken> {
        let wire::SlotChunk { tensor, offset, length, slot } = *chunk;
        let length = length as usize;
        self.assembler.chunk(tensor, offset, length)?;
        let assembler = &mut self.assembler;
        let message = self.slots.copy(slot, length, |piece, copy| assembler.fill_by(piece, copy))?;
        if let Some(released) = self.slots.give_back() {
            let mut answer = BytesMut::new();
            append(&released, &mut answer);
            // A sender that takes no answers has filled the socket with them, since it gets slots by them alone. A sender
            // that is gone is noticed by its parts.
            let is_full = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            if socket::try_write(&self.socket, &answer).is_err_and(|error| is_full(&error)) {
                return Err(ProtocolError::invalid("the slots that are given back are not taken").into());
            }
        }
        Ok(message)
    }

    /// The end of the direction, between two messages or with a reason.
    fn end(&self, end: wire::End) -> Result<(), Broken> {
        match end.failure {
            Some(failure) => Err(Broken::Told(Failure::try_from(failure)?)),
            None if self.assembler.is_idle() => Ok(()),
            None => Err(torn::<D>().into()),
        }
    }
}

impl<D: Direction> Source for Receiver<D> {
    async fn next(&mut self) -> Result<Option<Message>, Broken> {
        use shared_part::Part as P;
        loop {
            let part: SharedPart = match self.parts.next(&self.socket).await {
                Ok(part) => part,
                Err(NoFrame::Refused(error)) => return Err(Broken::at(&error, &self.assembler)),
                Err(NoFrame::Lost(error)) => {
                    return Err(Broken::Told(Failure::new(FailureKind::Lost, error)));
                }
            };
            let message = match part.part {
                None => return Err(ProtocolError::Missing("header, chunk or end").into()),
                Some(P::Header(header)) => self.assembler.header(header)?,
                Some(P::Chunk(chunk)) => {
                    self.assembler.chunk(chunk.tensor, chunk.offset, chunk.data.len())?;
                    self.assembler.fill(&chunk.data)?
                }
                Some(P::SlotChunk(chunk)) => self.slot(&chunk)?,
                Some(P::End(end)) => return self.end(end).map(|()| None),
            };
            if message.is_some() {
                return Ok(message);
            }
        }
    }
}
