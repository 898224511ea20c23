//! Assembles messages from the parts of a stream, whole and as bytes of a call, for the fuzzer and for the corpus test.

use super::received::received;
use prost::bytes::Bytes;
use proto::error::ProtocolError;
use proto::link::Contract;
use proto::link::framing::Assembler;
use proto::microbatch::Message;
use proto::spec::contract::Form;
use proto::spec::graph::Value;
use proto::tensor::{Block, Kind};
use proto::transport::DATA_MESSAGE_LIMIT;
use proto::transport::codec::Received;
use proto::transport::grpc::PartReader;
use proto::wire::Activation;

/// The formats of the link's numbers: one whose bytes are all numbers, and one that refuses some.
pub const KINDS: [Kind; 2] = [Kind::F32, Kind::Int8(Block::Of32)];

/// The contract of a link in `kind`. Its messages have one of two forms, as between the hosts of W and B.
pub fn contract(kind: Kind) -> Contract {
    let value = |name: &str, shape: &[u64]| Value { name: name.into(), shape: shape.into() };
    Contract {
        run: "run".into(),
        incarnation: 3,
        forms: vec![
            Form { values: vec![value("a", &[2, 3]), value("b", &[5])], max_microbatch: 4 },
            Form { values: vec![value("a.noise", &[3])], max_microbatch: 6 },
        ],
        kind,
        max_microbatches: 8,
    }
}

/// Pushes length-delimited parts, one after the other, into an assembler, and the same parts into the reader of a call, for
/// a link of every format.
pub fn run(bytes: &[u8]) {
    KINDS.into_iter().for_each(|kind| run_in(kind, bytes));
}

fn run_in(kind: Kind, mut bytes: &[u8]) {
    let contract = contract(kind);
    let mut assembler = Assembler::new(contract.clone());
    let mut reader = PartReader::<Activation>::new(contract.clone());
    while let Some((part, encoding)) = next(&mut bytes) {
        let read = reader.take(&mut prefixed(encoding));
        let pushed = assembler.push(part);
        if Activation::receive(encoding.to_vec().into()).is_err() {
            return assert!(read.is_err(), "a part that is not its own encoding was read");
        }
        assert_eq!(told(&pushed), told(&read), "both read the same");
        match pushed {
            Ok(None) => {}
            Ok(Some(message)) => {
                assert!(assembler.is_idle());
                assert_eq!(message.header.run, contract.run);
                let form = &contract.forms[message.header.form as usize];
                assert_eq!(message.tensors.len(), form.values.len());
                for ((name, tensor), value) in message.tensors.iter().zip(&form.values) {
                    assert_eq!((name, tensor.kind()), (&value.name, kind));
                    assert_eq!(tensor.shape()[1..], value.shape);
                    assert_eq!(tensor.shape()[0], u64::from(message.header.size));
                    assert!(message.header.size <= form.max_microbatch);
                }
            }
            Err(error) => {
                assert!(error.to_string().len() < 2000, "a refusal is a sentence");
                return;
            }
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// Whether an outcome is a message; a refusal's sentence.
fn told(outcome: &Result<Option<Message>, ProtocolError>) -> Result<bool, String> {
    outcome.as_ref().map(Option::is_some).map_err(ToString::to_string)
}

/// Takes the next length-delimited part, and its bytes.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<(Activation, &'a [u8])> {
    let length = prost::decode_length_delimiter(&mut *bytes).ok()?;
    let (part, rest) = bytes.split_at_checked(length).filter(|(part, _)| part.len() <= DATA_MESSAGE_LIMIT)?;
    *bytes = rest;
    Some((received(part)?, part))
}

/// A part as it lies in the bytes of a call.
fn prefixed(part: &[u8]) -> Bytes {
    [&[0][..], &(part.len() as u32).to_be_bytes(), part].concat().into()
}
