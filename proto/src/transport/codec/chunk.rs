//! The head of a chunk: the encoding of a part up to the chunk's data.

use crate::wire::Chunk;
use bytes::Bytes;
use prost::Message;
use prost::encoding::{
    WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
};

/// The tag of a chunk in a part.
const CHUNK: u32 = 2;
/// The tags of a chunk's fields.
const TENSOR: u32 = 1;
const OFFSET: u32 = 2;
const DATA: u32 = 3;

/// The head of a chunk with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// The tensor's index in the message's header.
    pub tensor: u32,
    /// The position of the data in the tensor, in bytes.
    pub offset: u64,
    /// The bytes of the data.
    pub data: usize,
    /// The bytes of the head itself.
    pub length: usize,
}

impl ChunkHead {
    /// The head of a part of `part` bytes that begins with `bytes`; `None` where the part is not a chunk with data in its
    /// own encoding. Then [`Received::receive`](super::Received::receive) says what the part is.
    pub fn of(mut bytes: &[u8], part: usize) -> Option<Self> {
        let whole = bytes;
        let key = decode_key(&mut bytes).ok()?;
        decode_varint(&mut bytes).ok()?;
        let (mut tensor, mut offset) = (0, 0);
        let data = loop {
            let (tag, kind) = decode_key(&mut bytes).ok()?;
            let value = decode_varint(&mut bytes).ok()?;
            match (tag, kind) {
                (TENSOR, WireType::Varint) => tensor = u32::try_from(value).ok()?,
                (OFFSET, WireType::Varint) => offset = value,
                (DATA, WireType::LengthDelimited) => break usize::try_from(value).ok()?,
                _ => return None,
            }
        };
        let length = part.checked_sub(data)?;
        let own = key == (CHUNK, WireType::LengthDelimited)
            && data > 0
            && length <= whole.len()
            && whole[..length] == Self::encode(tensor, offset, data);
        own.then_some(Self { tensor, offset, data, length })
    }

    /// The encoding of the head of a chunk with `data` bytes, which may be none.
    pub fn encode(tensor: u32, offset: u64, data: usize) -> Vec<u8> {
        let fields = Chunk { tensor, offset, data: Bytes::new() };
        let of_data = if data == 0 { 0 } else { key_len(DATA) + encoded_len_varint(data as u64) + data };
        let mut head = Vec::with_capacity(32);
        encode_key(CHUNK, WireType::LengthDelimited, &mut head);
        encode_varint((fields.encoded_len() + of_data) as u64, &mut head);
        head.extend(fields.encode_to_vec());
        if data > 0 {
            encode_key(DATA, WireType::LengthDelimited, &mut head);
            encode_varint(data as u64, &mut head);
        }
        head
    }
}
