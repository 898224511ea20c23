//! Tests of reading parts: bytes that come in any frames make the same messages and the same refusals as whole parts.

use super::super::outgoing::pieces;
use super::*;
use crate::link::framing::{CHUNK, parts};
use crate::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use crate::spec::contract::Form;
use crate::spec::graph::Value;
use crate::tensor::{Kind, TensorData};
use crate::wire::Activation;
use proptest::prelude::*;

fn contract(features: &[u64]) -> Contract {
    let value =
        |(index, &features): (usize, &u64)| Value { name: format!("value{index}"), shape: vec![features] };
    Contract {
        run: "run".into(),
        incarnation: 1,
        forms: vec![Form { values: features.iter().enumerate().map(value).collect(), max_microbatch: 2 }],
        kind: Kind::F32,
        max_microbatches: 4,
    }
}

fn message(contract: &Contract, index: u32) -> Message {
    let header = MicrobatchHeader {
        run: "run".into(),
        incarnation: 1,
        phase: Phase::Train,
        id: MicrobatchId { step: 3, index },
        minibatch: 8,
        microbatches: 4,
        offset: 2 * index,
        size: 2,
        form: 0,
    };
    let tensors = contract.values().iter().map(|value| {
        let elements: Vec<f32> = (0..2 * value.shape[0]).map(|at| at as f32).collect();
        (value.name.clone(), TensorData::from_f32(vec![2, value.shape[0]], &elements).unwrap())
    });
    Message { header, tensors: tensors.collect() }
}

/// The parts of some messages, each in its encoding.
fn encoded(contract: &Contract, messages: u32) -> Vec<Vec<u8>> {
    let parts = (0..messages).flat_map(|index| parts::<Activation>(message(contract, index)));
    parts.map(|part| pieces(part).concat()[PREFIX..].to_vec()).collect()
}

/// The parts as bytes of a call.
fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&[0], &(part.len() as u32).to_be_bytes()[..], part].concat()).collect()
}

/// What comes of a stream: the tensors of its messages in bytes, and the refusal or whether it ended between messages.
type Outcome = (Vec<Vec<Bytes>>, Result<bool, String>);

fn tensors(message: Message) -> Vec<Bytes> {
    message.tensors.into_iter().map(|(_, tensor)| tensor.into_bytes()).collect()
}

/// The outcome of reading `bytes` in frames of this length.
fn read(contract: &Contract, bytes: &[u8], frame: usize) -> Outcome {
    let mut reader = PartReader::<Activation>::new(contract.clone());
    let mut messages = Vec::new();
    for frame in bytes.chunks(frame) {
        let mut frame = Bytes::copy_from_slice(frame);
        loop {
            match reader.take(&mut frame) {
                Ok(Some(message)) => messages.push(tensors(message)),
                Ok(None) => break,
                Err(error) => return (messages, Err(error.to_string())),
            }
        }
        assert!(frame.is_empty() && reader.gathered.capacity() <= DATA_MESSAGE_LIMIT);
    }
    (messages, Ok(reader.is_idle()))
}

/// The outcome of whole parts, each decoded by the codec and pushed.
fn pushed(contract: &Contract, parts: &[Vec<u8>]) -> Outcome {
    let mut assembler = Assembler::new(contract.clone());
    let mut messages = Vec::new();
    for part in parts {
        let due = assembler.due();
        let part = Activation::receive(part.clone().into()).map_err(|error| match due {
            Some(due) => format!("{error}, while {due} was due"),
            None => error.to_string(),
        });
        match part.and_then(|part| assembler.push(part).map_err(|error| error.to_string())) {
            Ok(message) => messages.extend(message.map(tensors)),
            Err(error) => return (messages, Err(error)),
        }
    }
    (messages, Ok(assembler.is_idle()))
}

#[test]
fn messages_are_read_from_frames_of_any_length() {
    for (features, frames) in [
        ([3, 20, 1], [1, 5, 31, 33]),
        ([3, CHUNK as u64 / 4 + 5, 1], [4097, 1 << 18, (1 << 20) + 1, usize::MAX]),
    ] {
        let contract = contract(&features);
        let parts = encoded(&contract, 3);
        let due: Vec<_> = (0..3).map(|index| tensors(message(&contract, index))).collect();
        assert_eq!(pushed(&contract, &parts), (due.clone(), Ok(true)));
        for frame in frames {
            assert_eq!(read(&contract, &joined(&parts), frame), (due.clone(), Ok(true)), "{frame}");
        }
    }
    let contract = contract(&[3, 20]);
    let torn = joined(&encoded(&contract, 1));
    for end in [1, 4, 5, 20, torn.len() - 1] {
        assert_eq!(read(&contract, &torn[..end], 7).1, Ok(false), "an end at byte {end}");
    }
}

#[test]
fn a_part_that_is_too_long_or_compressed_is_refused_by_its_prefix() {
    let contract = contract(&[3]);
    let told = |prefix: [u8; PREFIX]| read(&contract, &prefix, 1).1.unwrap_err();
    let long = told([0, 0, 0x14, 0, 1]);
    assert!(long.contains("an activation has a part of 1310721 bytes, where 1310720 are the most"), "{long}");
    assert!(told([1, 0, 0, 0, 9]).contains("parts are never compressed"));
    assert!(told([0; PREFIX]).contains("header or chunk"), "an empty part");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn harmed_parts_are_judged_as_whole_parts_are(
        at in 0usize..6, place in any::<prop::sample::Index>(), byte in any::<u8>(), harm in 0u8..5, frame in 1usize..80,
    ) {
        let contract = contract(&[3, 20]);
        let mut parts = encoded(&contract, 2);
        let part = &mut parts[at];
        // Most heads are within the first bytes.
        let place = place.index(part.len()).min(usize::from(byte) % 48).min(part.len() - 1);
        match harm {
            0 => part[place] = byte,
            1 => part.insert(place, byte),
            2 => _ = part.remove(place),
            3 => part.truncate(place),
            _ => part.extend([byte, place as u8]),
        }
        prop_assert_eq!(read(&contract, &joined(&parts), frame), pushed(&contract, &parts));
    }
}
