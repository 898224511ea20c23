//! Messages on a socket: each follows its length, 4 bytes, little-endian. Lengths are bounded, and a received message must
//! be its own encoding.

use super::{FRAME, socket};
use crate::error::ProtocolError;
use crate::transport::codec::Received;
use bytes::{Buf, BufMut, BytesMut};
use prost::Message;
use std::io;
use tokio::net::UnixStream;

/// The bytes of a length.
const LENGTH: usize = 4;
/// The room for one read: many small messages, or one with an inline chunk.
const READ: usize = 32 << 10;

/// Why no message came.
#[derive(Debug)]
pub(super) enum NoFrame {
    /// The peer sent bytes that are no message.
    Refused(ProtocolError),
    /// The peer closed the socket, or the system failed.
    Lost(io::Error),
}

impl From<io::Error> for NoFrame {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// Appends `message` with its length.
pub(super) fn append(message: &impl Message, to: &mut BytesMut) {
    let length = message.encoded_len();
    to.reserve(LENGTH + length);
    to.put_u32_le(length as u32);
    // The vector grows as needed, so there is room.
    let _ = message.encode(to);
}

/// The bytes that have come and are no whole message yet.
#[derive(Default)]
pub(super) struct Frames {
    buffer: BytesMut,
    /// The part of `buffer` that has come; the rest is room.
    came: usize,
}

impl Frames {
    /// The next message.
    pub async fn next<M: Received>(&mut self, from: &UnixStream) -> Result<M, NoFrame> {
        loop {
            if let Some(message) = self.take().map_err(NoFrame::Refused)? {
                return Ok(message);
            }
            let room = self.room();
            match socket::read(from, room).await? {
                0 => return Err(NoFrame::Lost(io::Error::other("the connection was closed"))),
                read => self.came += read,
            }
        }
    }

    /// Room for the bytes that come next.
    pub fn room(&mut self) -> &mut [u8] {
        let came = self.came;
        if self.buffer.len() < came + READ / 2 {
            self.buffer.resize(came + READ, 0);
        }
        &mut self.buffer[came..]
    }

    /// Notes that so many bytes have come into [`Frames::room`].
    pub fn came(&mut self, bytes: usize) {
        self.came += bytes;
    }

    /// The message with which the bytes begin, if it is whole.
    pub fn take<M: Received>(&mut self) -> Result<Option<M>, ProtocolError> {
        let Some(length) =
            self.buffer.get(..self.came.min(LENGTH)).and_then(|bytes| bytes.first_chunk::<LENGTH>())
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME {
            return Err(ProtocolError::invalid(format!(
                "{} of {length} bytes, where {FRAME} are allowed",
                M::NAME
            )));
        }
        if self.came < LENGTH + length {
            return Ok(None);
        }
        self.buffer.advance(LENGTH);
        let message = self.buffer.split_to(length).freeze();
        self.came -= LENGTH + length;
        M::receive(message).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Released, SharedPart};

    #[test]
    fn messages_are_taken_whole_however_their_bytes_come() {
        let mut bytes = BytesMut::new();
        for slots in 1..=300 {
            append(&Released { slots }, &mut bytes);
        }
        for piece in [1, 3, 7, 1000] {
            let (mut frames, mut seen) = (Frames::default(), 0);
            for part in bytes.chunks(piece) {
                frames.room()[..part.len()].copy_from_slice(part);
                frames.came(part.len());
                while let Some(released) = frames.take::<Released>().unwrap() {
                    seen += 1;
                    assert_eq!(released.slots, seen);
                }
            }
            assert_eq!((seen, frames.came), (300, 0));
        }
    }

    #[test]
    fn a_message_that_is_too_long_or_not_its_own_encoding_is_refused() {
        let refused = |bytes: &[u8]| {
            let mut frames = Frames::default();
            frames.room()[..bytes.len()].copy_from_slice(bytes);
            frames.came(bytes.len());
            frames.take::<SharedPart>().unwrap_err().to_string()
        };
        assert!(refused(&u32::MAX.to_le_bytes()).contains("of 4294967295 bytes, where 262144 are allowed"));
        assert!(refused(b"\x03\0\0\0\x7a\x01W").contains("has 3 spare bytes"));
        assert!(refused(b"\x02\0\0\0\x0a\x09").contains("cannot be decoded"));
    }
}
