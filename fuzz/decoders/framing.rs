//! Assembles messages from the parts of a stream, for the fuzzer and for the corpus test.

use super::received::received;
use proto::link::Contract;
use proto::link::framing::Assembler;
use proto::spec::contract::Form;
use proto::spec::graph::Value;
use proto::tensor::Kind;
use proto::wire::Activation;

/// The contract of the link. Its messages have one of two forms, as between the hosts of W and B.
pub fn contract() -> Contract {
    let value = |name: &str, shape: &[u64]| Value { name: name.into(), shape: shape.into() };
    Contract {
        run: "run".into(),
        incarnation: 3,
        forms: vec![
            Form { values: vec![value("a", &[2, 3]), value("b", &[5])], max_microbatch: 4 },
            Form { values: vec![value("a.noise", &[3])], max_microbatch: 6 },
        ],
        kind: Kind::F32,
        max_microbatches: 8,
    }
}

/// Pushes length-delimited parts, one after the other, into an assembler.
pub fn run(mut bytes: &[u8]) {
    let contract = contract();
    let mut assembler = Assembler::new(contract.clone());
    while let Some(part) = next(&mut bytes) {
        match assembler.push(part) {
            Ok(None) => {}
            Ok(Some(message)) => {
                assert!(assembler.is_idle());
                assert_eq!(message.header.run, contract.run);
                let form = &contract.forms[message.header.form as usize];
                assert_eq!(message.tensors.len(), form.values.len());
                for ((name, tensor), value) in message.tensors.iter().zip(&form.values) {
                    assert_eq!(*name, value.name);
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

/// Takes the next length-delimited part.
fn next(bytes: &mut &[u8]) -> Option<Activation> {
    let length = prost::decode_length_delimiter(&mut *bytes).ok()?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    received(part)
}
