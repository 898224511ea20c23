//! Ledgers as JSON. `coordinator locality --json`, runs and snapshots use the same words.

use super::{Chain, ControlMessage, ControlRecord, LinkRecord};
use crate::link::{Carried, Role};
use crate::microbatch::Phase;
use crate::spec::graph::Value;
use crate::tensor::Kind;
use serde::de::{Error, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::str::FromStr;

/// A record of a link.
#[derive(Serialize, Deserialize)]
pub(super) struct Link {
    from: Role,
    to: Role,
    kind: Word,
    phase: Way,
    /// Absent between neighbours, whose messages have one form.
    #[serde(default, skip_serializing_if = "is_first")]
    form: u32,
    tensors: Vec<Tensor>,
    messages: u64,
    samples: u64,
    bytes: u64,
    payload: u64,
    hash: Chain,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Activation,
    ErrorSignal,
    LayerValues,
}

fn is_first(form: &u32) -> bool {
    *form == 0
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Train,
    Evaluate,
}

#[derive(Serialize, Deserialize)]
struct Tensor {
    name: String,
    #[serde(deserialize_with = "format")]
    format: Kind,
    shape: Vec<u64>,
}

/// A number format by its word. The word for bytes is not allowed in a configuration, so [`Kind`] does not read it.
fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let word = String::deserialize(deserializer)?;
    match word == Kind::U8.to_string() {
        true => Ok(Kind::U8),
        false => Kind::deserialize(word.into_deserializer()),
    }
}

impl From<LinkRecord> for Link {
    fn from(record: LinkRecord) -> Self {
        let LinkRecord {
            from,
            to,
            carried,
            phase,
            form,
            tensors,
            kinds,
            messages,
            samples,
            bytes,
            payload,
            chain,
        } = record;
        let tensor = |(Value { name, shape }, format)| Tensor { name, format, shape };
        Self {
            from,
            to,
            kind: match carried {
                Carried::Activations => Word::Activation,
                Carried::ErrorSignals => Word::ErrorSignal,
                Carried::LayerValues => Word::LayerValues,
            },
            phase: match phase {
                Phase::Train => Way::Train,
                Phase::Evaluate => Way::Evaluate,
            },
            form,
            tensors: tensors.into_iter().zip(kinds).map(tensor).collect(),
            messages,
            samples,
            bytes,
            payload,
            hash: chain,
        }
    }
}

impl From<Link> for LinkRecord {
    fn from(link: Link) -> Self {
        let Link { from, to, kind, phase, form, tensors, messages, samples, bytes, payload, hash } = link;
        Self {
            from,
            to,
            carried: match kind {
                Word::Activation => Carried::Activations,
                Word::ErrorSignal => Carried::ErrorSignals,
                Word::LayerValues => Carried::LayerValues,
            },
            phase: match phase {
                Way::Train => Phase::Train,
                Way::Evaluate => Phase::Evaluate,
            },
            form,
            kinds: tensors.iter().map(|tensor| tensor.format).collect(),
            tensors: tensors.into_iter().map(|Tensor { name, shape, .. }| Value { name, shape }).collect(),
            messages,
            samples,
            bytes,
            payload,
            chain: hash,
        }
    }
}

/// A record of a control plane.
#[derive(Serialize)]
pub(super) struct Control {
    from: Role,
    to: Role,
    message: ControlMessage,
    messages: u64,
    bytes: u64,
    largest: u64,
    hash: Chain,
}

impl From<ControlRecord> for Control {
    fn from(record: ControlRecord) -> Self {
        let ControlRecord { from, to, message, messages, bytes, largest, chain } = record;
        Self { from, to, message, messages, bytes, largest, hash: chain }
    }
}

/// As hexadecimal digits.
impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Chain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = || format!("'{}' are no 64 hexadecimal digits", crate::error::short(text));
        let (mut hash, pairs) = ([0; 32], text.as_bytes().chunks(2));
        if text.len() != 64 {
            return Err(digits());
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).map_err(|_| digits())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| digits())?;
        }
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_words_of_the_contract_and_is_read_back() {
        let record = LinkRecord {
            messages: 3,
            samples: 12,
            bytes: 3456,
            payload: 3072,
            ..LinkRecord::empty([Role::Coordinator, Role::Stage(0)], Carried::Activations, Phase::Train)
        };
        let value = |name: &str, shape: &[u64]| Value { name: name.into(), shape: shape.into() };
        let tensors = vec![value("input", &[3, 4, 4]), value("relu1", &[8, 4, 4])];
        let record = record.of(0, tensors, Kind::Bf16);
        let text = serde_json::to_string(&record).unwrap();
        let hash = Chain::default();
        let due = format!(
            r#"{{"from":"coordinator","to":"stage 0","kind":"activation","phase":"train","tensors":[{{"name":"input","format":"u8","shape":[3,4,4]}},{{"name":"relu1","format":"bf16","shape":[8,4,4]}}],"messages":3,"samples":12,"bytes":3456,"payload":3072,"hash":"{hash}"}}"#
        );
        assert_eq!(text, due);
        assert_eq!(serde_json::from_str::<LinkRecord>(&text).unwrap(), record);
        for wrong in [
            ("stage 0", "stage -1"),
            ("stage 0", "0"),
            (&hash.to_string()[..2], "zz"),
            ("train", "dream"),
            ("bf16", "u16"),
        ] {
            let text = due.replace(wrong.0, wrong.1);
            assert!(serde_json::from_str::<LinkRecord>(&text).is_err(), "{text}");
        }
    }
}
