//! The sending end of one direction: it puts the parts of messages into slots and onto the socket.

use super::frame::{Frames, NoFrame, append};
use super::ring::Slots;
use super::{INLINE, socket};
use crate::error::ProtocolError;
use crate::failure::{Failure, FailureKind};
#[cfg(feature = "leaks")]
use crate::leak::parts;
use crate::link::Link;
#[cfg(not(feature = "leaks"))]
use crate::link::framing::parts;
use crate::link::framing::{Direction, Part};
use crate::microbatch::Message;
use crate::wire::{self, SharedPart, shared_part};
use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Bytes that wait for one write: with more, a chunk's receiver would begin late.
const WRITE: usize = 32 << 10;
/// How long the peer may take to make room for the end of a direction.
const FAREWELL: Duration = Duration::from_secs(3);

/// The sending end.
pub(super) struct Sender {
    socket: UnixStream,
    slots: Slots,
    /// The peer's answers, as far as they have come.
    answers: Frames,
    /// The bytes that wait for the next write.
    waiting: BytesMut,
}

/// Why a message could not be sent.
enum Unsent {
    /// The peer has closed its end. Its own direction tells why.
    Gone,
    /// The peer's answer was refused.
    Refused(ProtocolError),
    /// The system has no memory for a slot.
    Full(io::Error),
}

impl From<NoFrame> for Unsent {
    fn from(error: NoFrame) -> Self {
        match error {
            NoFrame::Refused(error) => Unsent::Refused(error),
            NoFrame::Lost(_) => Unsent::Gone,
        }
    }
}

impl Sender {
    /// The sending end on `socket`, whose peer has answered `answers` so far.
    pub fn new(socket: UnixStream, slots: Slots, answers: Frames) -> Self {
        Self { socket, slots, answers, waiting: BytesMut::new() }
    }

    /// Sends the messages of `queue` until the port ends the direction, or until the run ends.
    pub async fn run<D: Direction>(mut self, link: Link, mut queue: mpsc::Receiver<Message>) {
        let Link { peer, cancellation, observer, .. } = link;
        let unsent = loop {
            let sent = tokio::select! {
                biased;
                () = cancellation.ended() => break None,
                sent = async {
                    let message = queue.recv().await?;
                    observer.sent(D::CARRIED, &message);
                    Some(self.send::<D>(message).await)
                } => sent,
            };
            match sent {
                Some(Ok(())) => {}
                Some(Err(unsent)) => break Some(unsent),
                None => break None,
            }
        };
        match unsent {
            None => {}
            Some(Unsent::Gone) => return,
            Some(Unsent::Refused(why)) => {
                let why = format!("the link to {peer} broke: {why}");
                observer.refused(D::CARRIED, &why);
                cancellation.fail(Failure::new(FailureKind::Protocol, why));
            }
            Some(Unsent::Full(error)) => cancellation.fail(Failure::own(format!(
                "the link to {peer} has no shared memory ({error}): free memory on this host, or set network.transport to \"grpc\""
            ))),
        }
        let failure = cancellation.failure().cloned().map(wire::Failure::from);
        // A message that was cut off is not ended: a peer that waits for its rest learns the reason all the same.
        self.append(shared_part::Part::End(wire::End { failure }));
        let _ = tokio::time::timeout(FAREWELL, self.flush()).await;
    }

    async fn send<D: Direction>(&mut self, message: Message) -> Result<(), Unsent> {
        for part in parts::<D>(message) {
            match part.into_part() {
                Some(Part::Header(header)) => self.append(shared_part::Part::Header(header)),
                Some(Part::Chunk(chunk)) if chunk.data.len() <= INLINE => {
                    self.append(shared_part::Part::Chunk(chunk));
                }
                Some(Part::Chunk(wire::Chunk { tensor, offset, data })) => {
                    let (slot, length) = (self.put(&data).await?, data.len() as u32);
                    self.append(shared_part::Part::SlotChunk(wire::SlotChunk {
                        tensor,
                        offset,
                        length,
                        slot,
                    }));
                    self.flush().await?;
                }
                None => {}
            }
            if self.waiting.len() > WRITE {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    /// Puts `bytes` into a slot, and waits for one where all are in use.
    async fn put(&mut self, bytes: &Bytes) -> Result<u32, Unsent> {
        loop {
            if let Some(slot) = self.slots.put(bytes).map_err(Unsent::Full)? {
                return Ok(slot);
            }
            self.flush().await?;
            let released: wire::Released = self.answers.next(&self.socket).await?;
            self.slots.released(&released).map_err(Unsent::Refused)?;
        }
    }

    fn append(&mut self, part: shared_part::Part) {
        append(&SharedPart { part: Some(part) }, &mut self.waiting);
    }

    async fn flush(&mut self) -> Result<(), Unsent> {
        socket::drain(&self.socket, &mut self.waiting).await.map_err(|_| Unsent::Gone)
    }
}
