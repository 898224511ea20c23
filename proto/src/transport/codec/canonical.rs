//! The one encoding of a message: prost's, with its fields in the order of their tags.

use super::chunk::ChunkHead;
use crate::error::ProtocolError;
use crate::wire::{self, activation, error_signal, layer_values, shared_part};
use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

/// The most fields of a message, where each element of a repeated field counts: more than the layers and values of a
/// stage, the snapshots of a node, the actions and layers in a report, or the records of a ledger.
const MAX_FIELDS: usize = 1 << 16;

/// A message that a process of this protocol receives.
pub trait Received: Message + Default + Send + 'static {
    /// The name of the message, for sentences.
    const NAME: &'static str;
    /// The tags of the fields whose own fields are counted as well: messages with many elements inside.
    const NESTED: &'static [u32] = &[];

    /// The encoding up to the bytes that the decoded message shares with the received bytes, and the number of those
    /// bytes, which are its tail.
    fn encoding(&self) -> (Vec<u8>, usize) {
        (self.encode_to_vec(), 0)
    }

    /// The message of `bytes`.
    ///
    /// # Errors
    /// Bytes that are no message of this type, have too many fields, or are not the message's own encoding.
    fn receive(bytes: Bytes) -> Result<Self, ProtocolError> {
        let name = Self::NAME;
        if fields(bytes.clone(), Self::NESTED) > MAX_FIELDS {
            return Err(ProtocolError::invalid(format!(
                "{name} has more than {MAX_FIELDS} fields, which no message of this protocol has"
            )));
        }
        let torn = |error| ProtocolError::invalid(format!("{name} cannot be decoded: {error}"));
        let message = Self::decode(bytes.clone()).map_err(torn)?;
        let (head, tail) = message.encoding();
        // Equal heads end with the length of the tail, so the tail is the shared bytes themselves.
        if bytes.starts_with(&head) && bytes.len() == head.len() + tail {
            return Ok(message);
        }
        Err(ProtocolError::invalid(format!("{name} {}", difference(&bytes, &head, tail))))
    }
}

/// The difference between `received` and the encoding of `head` and `tail` more bytes, for a sentence.
fn difference(received: &[u8], head: &[u8], tail: usize) -> String {
    let (have, due) = (received.len(), head.len() + tail);
    let same = received.iter().zip(head).take_while(|(received, due)| received == due).count();
    let at = if same == head.len() { have.min(due) } else { same };
    match have.checked_sub(due) {
        Some(spare @ 1..) => {
            format!("has {spare} spare bytes: it came in {have} bytes, from byte {at} on unlike its encoding")
        }
        _ => format!("is not its own encoding: it differs at byte {at} of {have}"),
    }
}

/// The number of fields in `message` and in its fields with tags `nested`. The count stops at [`MAX_FIELDS`] and one
/// more, or at the first field that cannot be decoded.
fn fields(mut message: Bytes, nested: &[u32]) -> usize {
    let mut count = 0;
    while message.has_remaining() && count <= MAX_FIELDS {
        let before = message.clone();
        let Ok((tag, kind)) = decode_key(&mut message) else { break };
        if skip_field(kind, tag, &mut message, DecodeContext::default()).is_err() {
            break;
        }
        count += 1;
        if kind == WireType::LengthDelimited && nested.contains(&tag) {
            count += inner(before).map_or(0, |inner| fields(inner, &[]));
        }
    }
    count
}

/// The content of the length-delimited field with which `bytes` begins.
fn inner(mut bytes: Bytes) -> Option<Bytes> {
    decode_key(&mut bytes).ok()?;
    let length = prost::decode_length_delimiter(&mut bytes).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

macro_rules! received {
    ($($type:ident $name:literal $([$($nested:literal),+])?)+) => { $(
        impl Received for wire::$type {
            const NAME: &'static str = $name;
            $(const NESTED: &'static [u32] = &[$($nested),+];)?
        }
    )+ };
}
received! {
    DescribeRequest "a request for the description"
    Description "a description"
    Stage "the specification of a stage"
    Configured "the answer of a configured node"
    Command "a command" [2]
    Report "a report" [2]
    AuditRequest "a request for the ledger"
    Ledger "a ledger" [4, 5]
    Failure "a failure"
    Opening "the opening of a link"
    Opened "the answer to the opening of a link"
    Released "slots that are given back"
}

/// The parts of a link's message. A chunk's data is neither copied nor compared: it is the tail of the received bytes.
macro_rules! part {
    ($($type:ident $part:path, $name:literal)+) => { $(
        impl Received for wire::$type {
            const NAME: &'static str = $name;

            fn encoding(&self) -> (Vec<u8>, usize) {
                use $part as P;
                match &self.part {
                    Some(P::Chunk(chunk)) => (head_of(chunk), chunk.data.len()),
                    Some(P::Header(_)) | None => (self.encode_to_vec(), 0),
                }
            }
        }
    )+ };
}

/// The encoding of a part with `chunk`, up to the chunk's data.
fn head_of(chunk: &wire::Chunk) -> Vec<u8> {
    ChunkHead::encode(chunk.tensor, chunk.offset, chunk.data.len())
}

part! {
    Activation activation::Part, "an activation"
    ErrorSignal error_signal::Part, "an error signal"
    LayerValues layer_values::Part, "a layer's values"
}

impl Received for wire::SharedPart {
    const NAME: &'static str = "a part of a message";

    fn encoding(&self) -> (Vec<u8>, usize) {
        match &self.part {
            Some(shared_part::Part::Chunk(chunk)) => (head_of(chunk), chunk.data.len()),
            _ => (self.encode_to_vec(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_too_many_fields_is_found_before_it_is_decoded() {
        let stage = |layers| wire::Stage { layers: vec![Default::default(); layers], ..Default::default() };
        let few = |message: wire::Stage| fields(message.encode_to_vec().into(), &[]) <= MAX_FIELDS;
        assert!(few(stage(MAX_FIELDS)));
        assert!(!few(stage(MAX_FIELDS + 1)));
        assert!(!few(wire::Stage { outputs: vec![String::new(); MAX_FIELDS], ..stage(1) }), "of all kinds");
        assert_eq!(
            fields(Bytes::from_static(b"\x2a\xff\xff\xff\xff\x0f"), &[]),
            0,
            "prost refuses what is torn"
        );
        let record =
            wire::LinkRecord { tensors: vec![Default::default(); MAX_FIELDS / 2], ..Default::default() };
        let ledger =
            wire::Ledger { crossed: vec![record.clone()], consumed: vec![record], ..Default::default() };
        let refused = wire::Ledger::receive(ledger.encode_to_vec().into()).unwrap_err().to_string();
        assert!(refused.starts_with("a ledger has more than 65536 fields"), "{refused}");
    }

    fn chunk(tensor: u32, offset: u64, data: usize) -> wire::Activation {
        let data = vec![7; data].into();
        wire::Activation { part: Some(activation::Part::Chunk(wire::Chunk { tensor, offset, data })) }
    }

    #[test]
    fn what_prost_encodes_is_received_without_a_copy_of_the_data() {
        for part in
            [chunk(0, 0, 0), chunk(0, 0, 1), chunk(3, 0, 127), chunk(0, 1 << 40, 1 << 20), Default::default()]
        {
            let bytes: Bytes = part.encode_to_vec().into();
            let received = wire::Activation::receive(bytes.clone()).unwrap();
            assert_eq!(received, part);
            if let Some(activation::Part::Chunk(chunk)) = received.part {
                assert!(
                    chunk.data.is_empty() || bytes.as_ptr_range().contains(&chunk.data.as_ptr()),
                    "shared"
                );
            }
        }
        let stage = wire::Stage { run: "run".into(), keep_snapshots: 3, ..Default::default() };
        assert_eq!(wire::Stage::receive(stage.encode_to_vec().into()).unwrap(), stage);
    }

    #[test]
    fn every_other_encoding_of_a_message_is_refused() {
        let part = chunk(1, 2, 3).encode_to_vec();
        let told = |bytes: Vec<u8>| wire::Activation::receive(bytes.into()).unwrap_err().to_string();
        // 0x7a 0x05: the field 15 with 5 bytes, which no version of this schema has.
        let unknown = told([&part[..], b"\x7a\x05WWWWW"].concat());
        let says =
            "an activation has 7 spare bytes: it came in 18 bytes, from byte 11 on unlike its encoding";
        assert_eq!(unknown, says);
        let first = told([b"\x7a\x05WWWWW", &part[..]].concat());
        assert!(first.contains("has 7 spare bytes") && first.contains("from byte 0 on"), "{first}");
        assert!(told([&part[..], &part].concat()).contains("has 11 spare bytes"), "the same part twice");
        let header = wire::Activation { part: Some(activation::Part::Header(Default::default())) };
        let both = told([header.encode_to_vec(), part.clone()].concat());
        assert!(both.contains("has 2 spare bytes"), "a part that the next one replaces: {both}");
        // The key, the length, tensor 1, offset 2, and 3 bytes of data.
        assert_eq!(part, b"\x12\x09\x08\x01\x10\x02\x1a\x03\x07\x07\x07");
        for (other, says) in [
            (&b"\x12\x09\x10\x02\x08\x01\x1a\x03\x07\x07\x07"[..], "differs at byte 2 of 11"),
            (b"\x12\x0a\x08\x81\x00\x10\x02\x1a\x03\x07\x07\x07", "has 1 spare bytes"),
            (b"\x12\x0b\x08\x01\x10\x02\x1a\x03\x07\x07\x07\x1a\x00", "spare bytes"),
            (b"\x12\x09\x1a\x03\x07\x07\x07\x08\x01\x10\x02", "differs at byte 2 of 11"),
            (b"\x12\x0e\x08\x01\x10\x02\x1a\x03WWW\x1a\x03\x07\x07\x07", "has 5 spare bytes"),
            (b"\x12\x0b\x08\x01\x10\x02\x1a\x03\x07\x07\x07\x20\x01", "has 2 spare bytes"),
            (b"\x12\x0d\x08\x00\x08\x01\x10\x02\x1a\x03\x07\x07\x07", "cannot be decoded"),
        ] {
            let refused = told(other.to_vec());
            assert!(refused.contains(says), "{other:?}: {refused}");
        }
        let spare = wire::Configured { parameters: 1, updates: 2 }.encode_to_vec();
        let refused = wire::Configured::receive([&spare[..], b"\x18\x01"].concat().into()).unwrap_err();
        assert!(
            refused.to_string().starts_with("the answer of a configured node has 2 spare bytes"),
            "{refused}"
        );
    }
}
