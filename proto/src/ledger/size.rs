//! The sizes of messages of links and of control planes, computed without sending them.

use crate::control::{Command, Configured, Description, Report};
use crate::ledger::{Ledger, Refusal};
use crate::link::framing::{header_bytes, tensor_bytes};
use crate::microbatch::MicrobatchHeader;
use crate::spec::graph::Value;
use crate::spec::stage::StageSpec;
use crate::tensor::{Kind, byte_len};
use crate::wire;
use prost::Message;

/// The protobuf bytes of a message of a control plane.
pub trait Size {
    /// The bytes, without gRPC's prefix.
    fn size(&self) -> u64;
}

macro_rules! sizes {
    ($($type:ident = $wire:path),+) => { $(
        impl Size for $type {
            fn size(&self) -> u64 {
                <$wire>::from(self.clone()).encoded_len() as u64
            }
        }
    )+ };
}
sizes! {
    Command = wire::Command,
    Configured = wire::Configured,
    Description = wire::Description,
    Ledger = wire::Ledger,
    Refusal = wire::Refusal,
    Report = wire::Report,
    StageSpec = wire::Stage
}

/// The protobuf bytes of a message of a link: of its header, and of the chunks of its tensors. Each of `values` is one
/// sample of a tensor, and `kinds` are their number formats. The sum saturates.
pub fn link_message(header: &MicrobatchHeader, values: &[Value], kinds: &[Kind]) -> u64 {
    let shape = |value: &Value| std::iter::once(u64::from(header.size)).chain(value.shape.clone()).collect();
    let tensor = |(value, &kind): (&Value, &Kind)| wire::TensorHeader {
        name: value.name.clone(),
        kind: wire::Kind::from(kind).into(),
        shape: shape(value),
        // A checksum has a fixed width, unless it is 0.
        checksum: u64::MAX,
    };
    let tensors = (0..).zip(values.iter().zip(kinds)).map(|(index, (value, kind))| {
        byte_len(*kind, &shape(value)).map_or(u64::MAX, |length| tensor_bytes(index, length))
    });
    let header = header.to_wire(values.iter().zip(kinds).map(tensor).collect());
    tensors.fold(header_bytes(&header), u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::framing::parts;
    use crate::microbatch::{self, MicrobatchId, Phase};
    use crate::tensor::TensorData;

    /// The sizes of a message's tensors: less than a chunk, exactly one, and more than two.
    #[test]
    fn the_size_of_a_message_is_what_its_parts_take() {
        let values = [
            Value { name: "small".into(), shape: vec![3, 5] },
            Value { name: "chunk".into(), shape: vec![1 << 17] },
            Value { name: "large".into(), shape: vec![(1 << 18) + 1] },
        ];
        for (kinds, id) in [([Kind::U8, Kind::F32, Kind::F32], 1), ([Kind::Bf16; 3], 70_000)] {
            let header = MicrobatchHeader {
                run: "run".into(),
                incarnation: 3,
                phase: Phase::Train,
                id: MicrobatchId { step: id, index: 1 },
                minibatch: 300,
                microbatches: 9,
                offset: 200,
                size: 2,
                form: 0,
            };
            let tensor = |(value, &kind): (&Value, &Kind)| {
                let shape: Vec<u64> = [&[2], value.shape.as_slice()].concat();
                let bytes = vec![7; byte_len(kind, &shape).unwrap()];
                (value.name.clone(), TensorData::new(kind, shape, vec![bytes.into()]).unwrap())
            };
            for values in [&values[..], &[]] {
                let message = microbatch::Message {
                    header: header.clone(),
                    tensors: values.iter().zip(&kinds).map(tensor).collect(),
                };
                let sent: usize = parts::<wire::ErrorSignal>(message).map(|part| part.encoded_len()).sum();
                assert_eq!(link_message(&header, values, &kinds), sent as u64, "{kinds:?} {}", values.len());
            }
        }
    }
}
