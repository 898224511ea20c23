//! A valid message for any link, and its parts.

use proto::link::Contract;
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::graph::Value;
use proto::tensor::{Kind, TensorData, byte_len};
use proto::wire::activation::Part;
use proto::wire::{Activation, Chunk, Header};

/// The step of every message.
pub const STEP: u64 = 7;

/// Microbatch `index` of a training step with two microbatches of `size` samples.
pub fn message(contract: &Contract, size: u32, index: u32) -> Message {
    let header = MicrobatchHeader {
        run: contract.run.clone(),
        incarnation: contract.incarnation,
        phase: Phase::Train,
        id: MicrobatchId { step: STEP, index },
        minibatch: 2 * size,
        microbatches: 2,
        offset: size * index,
        size,
        form: 0,
    };
    let tensor = |value: &Value| {
        let shape: Vec<u64> = std::iter::once(u64::from(size)).chain(value.shape.iter().copied()).collect();
        let kind = value.kind(contract.kind);
        let data = match kind {
            // Not all bytes are numbers of 8 bits and their scales.
            Kind::Int8(_) => {
                let numbers = shape.iter().product::<u64>();
                let numbers: Vec<f32> = (0..numbers).map(|at| (at % 251) as f32 / 8.0 - 15.0).collect();
                TensorData::round_from_f32(kind, shape, &numbers)
            }
            _ => {
                let bytes: Vec<u8> =
                    (0..byte_len(kind, &shape).unwrap()).map(|at| (at % 251) as u8).collect();
                TensorData::new(kind, shape, vec![bytes.into()])
            }
        };
        (value.name.clone(), data.unwrap())
    };
    Message { header, tensors: contract.values().iter().map(tensor).collect() }
}

pub fn header(part: &mut Activation) -> &mut Header {
    match &mut part.part {
        Some(Part::Header(header)) => header,
        other => panic!("{other:?} is no header"),
    }
}

pub fn chunk(part: &mut Activation) -> &mut Chunk {
    match &mut part.part {
        Some(Part::Chunk(chunk)) => chunk,
        other => panic!("{other:?} is no chunk"),
    }
}
