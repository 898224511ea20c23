//! Tests of framing: the parts of a message become the same message again, and every other part is refused.

use crate::message::{chunk, header, message};
use bytes::Bytes;
use proptest::prelude::*;
use proto::error::ProtocolError;
use proto::link::Contract;
use proto::link::framing::{Assembler, CHUNK, Direction, Part, parts};
use proto::microbatch::Message;
use proto::spec::contract::Form;
use proto::spec::graph::{INPUT, Value};
use proto::tensor::{ALIGNMENT, Block, Kind, TensorData, byte_len};
use proto::wire::{Activation, Header};

/// A fault's name, and the function that causes it.
type Harm<T> = (&'static str, fn(&mut T));

fn contract(shapes: &[Vec<u64>]) -> Contract {
    let value =
        |(index, shape): (usize, &Vec<u64>)| Value { name: format!("value{index}"), shape: shape.clone() };
    Contract {
        run: "run".into(),
        incarnation: 3,
        forms: vec![Form { values: shapes.iter().enumerate().map(value).collect(), max_microbatch: 64 }],
        kind: Kind::F32,
        max_microbatches: 8,
    }
}

fn sent(contract: &Contract, size: u32) -> Vec<Activation> {
    parts(message(contract, size, 1)).collect()
}

/// Feeds `parts` one by one; returns their message, or the reason for the refusal.
fn receive(contract: &Contract, parts: Vec<Activation>) -> Result<Option<Message>, ProtocolError> {
    let mut assembler = Assembler::new(contract.clone());
    let mut message = None;
    for part in parts {
        message = assembler.push(part)?;
    }
    Ok(message.filter(|_| assembler.is_idle()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_message_survives_the_wire(shapes in proptest::collection::vec(proptest::collection::vec(1u64..40, 1..4), 0..4), size in 1u32..=64) {
        let contract = contract(&shapes);
        let original = message(&contract, size, 1);
        let received = receive(&contract, sent(&contract, size)).unwrap().unwrap();
        prop_assert_eq!(&received.header, &original.header);
        prop_assert_eq!(received.tensors.len(), original.tensors.len());
        for ((name, tensor), (known, same)) in received.tensors.into_iter().zip(original.tensors) {
            prop_assert_eq!(name, known);
            prop_assert_eq!(tensor.shape(), same.shape());
            prop_assert_eq!(tensor.into_bytes(), same.into_bytes());
        }
    }

    #[test]
    fn a_damaged_stream_is_refused_or_incomplete_and_never_a_panic(cut in 0usize..6, doubled in 0usize..6, flipped in any::<u8>()) {
        let contract = contract(&[vec![CHUNK as u64 / 16], vec![3]]);
        let whole = sent(&contract, 9);
        let mut missing = whole.clone();
        missing.remove(cut.min(whole.len() - 1));
        prop_assert!(!matches!(receive(&contract, missing), Ok(Some(_))));
        let mut twice = whole.clone();
        twice.insert(doubled.min(whole.len() - 1), whole[doubled.min(whole.len() - 1)].clone());
        prop_assert!(!matches!(receive(&contract, twice), Ok(Some(_))));
        let mut damaged = whole.clone();
        let data = &mut chunk(&mut damaged[1]).data;
        let mut bytes = data.to_vec();
        bytes[usize::from(flipped)] ^= 1;
        *data = Bytes::from(bytes);
        prop_assert!(receive(&contract, damaged).is_err());
    }
}

#[test]
fn what_the_contract_forbids_is_refused_by_the_header() {
    let contract = contract(&[vec![2, 3]]);
    let harms: [Harm<Header>; 14] = [
        ("another run", |h| h.run = "other".into()),
        ("an earlier start", |h| h.incarnation = 2),
        ("no phase", |h| h.phase = 0),
        ("an unknown phase", |h| h.phase = 9),
        ("no samples", |h| h.size = 0),
        ("beyond the minibatch", |h| h.offset = u32::MAX),
        ("an index beyond M", |h| h.index = 2),
        ("more microbatches than configured", |h| h.microbatches = 9),
        ("another name", |h| h.tensors[0].name = "x".repeat(1 << 20)),
        ("another kind", |h| h.tensors[0].kind = 2),
        ("another shape", |h| h.tensors[0].shape = vec![9, 3, 2]),
        ("an overflowing shape", |h| h.tensors[0].shape = vec![u64::MAX; 9]),
        ("a tensor too few", |h| h.tensors.clear()),
        ("a tensor too many", |h| h.tensors.push(h.tensors[0].clone())),
    ];
    for (name, harm) in harms {
        let mut parts = sent(&contract, 9);
        harm(header(&mut parts[0]));
        let mut assembler = Assembler::new(contract.clone());
        let refused = assembler.push(parts.remove(0)).unwrap_err();
        assert!(refused.to_string().len() < 600, "{name}: a refusal is a sentence");
    }
    let mut huge = sent(&contract, 9);
    (header(&mut huge[0]).size, header(&mut huge[0]).minibatch) = (65, 1000);
    assert!(receive(&contract, huge).is_err(), "more samples than configured");
}

#[test]
fn what_does_not_continue_the_message_is_refused() {
    let contract = contract(&[vec![CHUNK as u64 / 16]]);
    let harms: [Harm<Vec<Activation>>; 7] = [
        ("a gap", |p| chunk(&mut p[1]).offset = 4),
        ("a chunk for another tensor", |p| chunk(&mut p[1]).tensor = 1),
        ("an empty chunk", |p| chunk(&mut p[1]).data = Bytes::new()),
        ("a small chunk that is not the last", |p| chunk(&mut p[1]).data.truncate(16)),
        ("more bytes than the shape", |p| chunk(p.last_mut().unwrap()).data = Bytes::from(vec![0; CHUNK])),
        ("an empty part", |p| p[1].part = None),
        ("no header", |p| _ = p.remove(0)),
    ];
    for (name, harm) in harms {
        let mut parts = sent(&contract, 9);
        harm(&mut parts);
        assert!(receive(&contract, parts).is_err(), "{name}");
    }
}

#[test]
fn a_tensor_becomes_one_aligned_piece_however_its_bytes_come() {
    let contract = contract(&[vec![CHUNK as u64 / 16], vec![3]]);
    let original = message(&contract, 9, 1);
    for length in [1000, 65_537, CHUNK] {
        let mut assembler = Assembler::new(contract.clone());
        let mut received = None;
        for part in sent(&contract, 9) {
            match part.into_part().unwrap() {
                Part::Header(header) => assert!(assembler.header(header).unwrap().is_none()),
                Part::Chunk(chunk) => {
                    assembler.chunk(chunk.tensor, chunk.offset, chunk.data.len()).unwrap();
                    for bytes in chunk.data.chunks(length) {
                        assert!(received.is_none() && !assembler.is_idle());
                        received = assembler.fill(bytes).unwrap();
                    }
                }
            }
        }
        for ((_, tensor), (_, same)) in received.unwrap().tensors.into_iter().zip(&original.tensors) {
            let [piece] = tensor.pieces() else { panic!("one piece") };
            assert_eq!(piece.as_ptr().align_offset(ALIGNMENT), 0);
            assert_eq!(*piece, same.clone().into_bytes());
        }
    }
}

#[test]
fn bytes_are_taken_only_for_a_chunk_that_is_due() {
    let contract = contract(&[vec![3]]);
    let opened = || {
        let mut assembler = Assembler::new(contract.clone());
        assembler.push(sent(&contract, 9).remove(0)).unwrap();
        assembler
    };
    let mut assembler = Assembler::new(contract.clone());
    assert!(assembler.chunk(0, 0, 108).is_err() && assembler.fill(&[1]).is_err(), "no header");
    assert!(opened().fill(&[1]).is_err(), "no chunk");
    for (tensor, offset, length) in [(1, 0, 108), (0, 4, 104), (0, 0, 107), (0, 0, 109), (0, 0, 0)] {
        assert!(opened().chunk(tensor, offset, length).is_err(), "{tensor} {offset} {length}");
    }
    let mut assembler = opened();
    assembler.chunk(0, 0, 108).unwrap();
    assert!(assembler.fill(&[1; 100]).unwrap().is_none());
    let refused = assembler.chunk(0, 100, 8).unwrap_err().to_string();
    assert!(refused.contains("a new chunk while the last one lacks 8 bytes"), "{refused}");
    let refused = assembler.fill(&[1; 9]).unwrap_err().to_string();
    assert!(refused.contains("9 bytes of a chunk while 8 are due"), "{refused}");
}

#[test]
fn the_networks_input_crosses_in_bytes_and_nothing_else_does() {
    let input = Value { name: INPUT.into(), shape: vec![3, 4] };
    for wire in [Kind::F32, Kind::Bf16, Kind::F16] {
        let mut contract = Contract { kind: wire, ..contract(&[vec![2, 3]]) };
        contract.forms[0].values.insert(0, input.clone());
        let received = receive(&contract, sent(&contract, 9)).unwrap().unwrap();
        let kinds: Vec<Kind> = received.tensors.iter().map(|(_, tensor)| tensor.kind()).collect();
        assert_eq!(kinds, [Kind::U8, wire]);
        for (tensor, kind, says) in [
            (0, 1, "'input' as f32 [9, 3, 4] where 'input' as u8 [9, 3, 4] crosses this cut".to_owned()),
            (1, 4, format!("'value0' as u8 [9, 2, 3] where 'value0' as {wire} [9, 2, 3] crosses this cut")),
        ] {
            let mut parts = sent(&contract, 9);
            header(&mut parts[0]).tensors[tensor].kind = kind;
            let refused = receive(&contract, parts).unwrap_err().to_string();
            assert!(refused.contains(&says), "{refused}");
        }
    }
}

/// The parts of a message of one tensor of `contract`, whose bytes `harm` has changed. The checksum is that of the changed
/// bytes, as a sender's own would be.
fn harmed(contract: &Contract, harm: impl FnOnce(&mut Vec<u8>)) -> Vec<Activation> {
    let mut parts = sent(contract, 9);
    let mut bytes = chunk(&mut parts[1]).data.to_vec();
    harm(&mut bytes);
    let changed = Bytes::from(bytes);
    let whole = TensorData::new(Kind::U8, vec![changed.len() as u64], vec![changed.clone()]).unwrap();
    header(&mut parts[0]).tensors[0].checksum = whole.checksum();
    chunk(&mut parts[1]).data = changed;
    parts
}

#[test]
fn numbers_of_8_bits_cross_with_their_scales() {
    for block in Block::ALL {
        let shapes = [vec![7, 5], vec![3], vec![2, 31, 33], vec![1024]];
        let contract = Contract { kind: Kind::Int8(block), ..contract(&shapes) };
        let original = message(&contract, 9, 1);
        let received = receive(&contract, sent(&contract, 9)).unwrap().unwrap();
        for ((name, tensor), (known, same)) in received.tensors.into_iter().zip(original.tensors) {
            assert_eq!((name, tensor.kind(), tensor.shape()), (known, Kind::Int8(block), same.shape()));
            let numbers: u64 = tensor.shape()[1..].iter().product();
            let bytes = 9 * (numbers + 4 * numbers.div_ceil(block.size() as u64));
            assert_eq!(byte_len(tensor.kind(), tensor.shape()), Some(bytes as usize));
            assert_eq!(tensor.to_f32(), same.to_f32());
            assert_eq!(tensor.into_bytes(), same.into_bytes());
        }
    }
}

#[test]
fn bytes_that_are_no_numbers_of_8_bits_are_refused() {
    type Damage = fn(&mut Vec<u8>);
    fn scale(bytes: &mut [u8], bits: u32) {
        bytes[4..8].copy_from_slice(&bits.to_le_bytes());
    }
    // Nine samples of two blocks each: 18 scales, and 9 × 33 numbers behind them.
    let contract = Contract { kind: Kind::Int8(Block::Of32), ..contract(&[vec![3, 11]]) };
    assert!(receive(&contract, harmed(&contract, |_| ())).unwrap().is_some());
    let harms: [(Damage, &str); 9] = [
        (|bytes| scale(bytes, 0x7f80_0000), "is no scale of block 1"),
        (|bytes| scale(bytes, 0xff80_0000), "is no scale of block 1"),
        (|bytes| scale(bytes, 0x7fc0_0001), "is no scale of block 1"),
        (|bytes| scale(bytes, 0xbf80_0000), "is no scale of block 1"),
        (|bytes| scale(bytes, 1), "is no scale of block 1"),
        (|bytes| scale(bytes, 0x7fc0_0000), "block 1 in 8 bits has numbers and no scale"),
        (|bytes| bytes[72] = 0x80, "block 0 in 8 bits has the number -128"),
        (|bytes| bytes.truncate(72 + 9 * 33 - 1), "368"),
        (|bytes| bytes.push(1), "370"),
    ];
    for (harm, says) in harms {
        let refused = receive(&contract, harmed(&contract, harm)).unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

#[test]
fn a_format_of_8_bits_is_due_with_its_blocks_alone() {
    let of = |kind| Contract { kind, ..contract(&[vec![2, 3]]) };
    let due = of(Kind::Int8(Block::Of64));
    for kind in [Kind::F32, Kind::U8, Kind::Int8(Block::Of32), Kind::Int8(Block::Of1024)] {
        let refused = receive(&due, sent(&of(kind), 9)).unwrap_err().to_string();
        let says =
            format!("'value0' as {kind} [9, 2, 3] where 'value0' as int8_64 [9, 2, 3] crosses this cut");
        assert!(refused.contains(&says), "{refused}");
        let refused = receive(&of(kind), sent(&due, 9)).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("'value0' as int8_64 [9, 2, 3] where 'value0' as {kind}")),
            "{refused}"
        );
    }
    let mut parts = sent(&due, 9);
    header(&mut parts[0]).tensors[0].kind = 11;
    assert!(receive(&due, parts).is_err(), "a number that is no format");
}
