//! Leaks, for tests alone: a node sends the bytes of a weight where no weight belongs, so that a proof of locality can be
//! seen to fail.
//!
//! Only the feature `leaks` compiles this module, and only the program `layer-node-leaking` has that feature. The
//! variable `NEUROPIL_LEAK` chooses the leak, and `NEUROPIL_LEAK_OVER` the messages of links that carry it. The leaks on
//! links stand behind every count of this process, so that the node's own ledger says nothing of them; but for
//! [`Leak::WeightAsY`], which stands before every count, so that the ledgers of both ends agree.

#[cfg(not(debug_assertions))]
compile_error!("the feature `leaks` is for tests alone: no release build may have it");

use crate::link::Carried;
use crate::link::framing::{self, Direction};
use crate::microbatch::Message;
use crate::tensor::{Kind, TensorData};
use crate::wire::{Activation, LayerValues, Report, activation, layer_values, report};
use bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::any::Any;
use std::marker::PhantomData;
use std::sync::{Mutex, OnceLock};
use tonic::Status;
use tonic::codec::{EncodeBuf, Encoder};

/// The variable that chooses the leak.
pub const VARIABLE: &str = "NEUROPIL_LEAK";
/// The variable that chooses the messages that carry a leak on a link: activations, where it is not set.
pub const OVER: &str = "NEUROPIL_LEAK_OVER";
/// The word of [`OVER`] for the messages to the host of B.
const TO_BACKWARD: &str = "layer_values";
/// The ends of the names of tensors that are the y of a layer, in messages to the host of B.
const Y: &str = ".y";
/// The tag of an unknown field: no message of the schema has so large a tag.
const UNKNOWN: u32 = 900;
/// The most bytes of a weight in an unknown field, which messages of every kind have room for.
const FIELD: usize = 32 << 10;

/// The way in which a weight leaves its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leak {
    /// A message of its own follows every message of the link.
    Message,
    /// An unknown field follows the header of every message of the link.
    UnknownField,
    /// An extra tensor is part of every message of the link.
    ExtraTensor,
    /// The weight takes the place of a tensor of the link, as bf16.
    Format,
    /// The weight takes the place of every y on its way to the host of B, in y's shape and number format.
    WeightAsY,
    /// A few bytes are part of every report of a step.
    Control,
    /// The metrics port shows the weight.
    Metrics,
    /// An unknown field follows the report of every snapshot.
    Snapshot,
    /// A second socket sends the weight to another host.
    Socket,
}

/// The leaks by their words.
const LEAKS: [(&str, Leak); 9] = [
    ("message", Leak::Message),
    ("unknown_field", Leak::UnknownField),
    ("extra_tensor", Leak::ExtraTensor),
    ("format", Leak::Format),
    ("weight_as_y", Leak::WeightAsY),
    ("control", Leak::Control),
    ("metrics", Leak::Metrics),
    ("snapshot", Leak::Snapshot),
    ("socket", Leak::Socket),
];

static CHOSEN: OnceLock<(Leak, Carried)> = OnceLock::new();
static WEIGHT: Mutex<Option<(String, TensorData)>> = Mutex::new(None);

/// Chooses the leak that the variables name.
///
/// # Errors
/// A variable that names no leak or no messages, in one sentence.
pub fn choose() -> Result<Leak, String> {
    let word = std::env::var(VARIABLE).unwrap_or_default();
    let known = LEAKS.iter().find(|(name, _)| *name == word);
    let (_, leak) = known.ok_or_else(|| {
        let words: Vec<&str> = LEAKS.iter().map(|(word, _)| *word).collect();
        format!("{VARIABLE}='{word}' is no leak: choose {}", words.join(", "))
    })?;
    let over = match std::env::var(OVER).as_deref() {
        Err(_) | Ok("" | "activations") => Carried::Activations,
        Ok(TO_BACKWARD) => Carried::LayerValues,
        Ok(word) => return Err(format!("{OVER}='{word}': choose activations or {TO_BACKWARD}")),
    };
    Ok(CHOSEN.get_or_init(|| (*leak, over)).0)
}

/// Whether `leak` is the chosen leak.
pub fn is(leak: Leak) -> bool {
    CHOSEN.get().is_some_and(|(chosen, _)| *chosen == leak)
}

/// Whether the chosen leak goes over messages of this kind.
fn is_over(carried: Carried) -> bool {
    CHOSEN.get().is_some_and(|(_, over)| *over == carried)
}

/// Gives the weight that leaks, by its name.
pub fn give(name: String, weight: TensorData) {
    *WEIGHT.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some((name, weight));
}

/// The weight that leaks; `None` before the first lane.
pub fn weight() -> Option<(String, TensorData)> {
    WEIGHT.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

/// As [`framing::parts`], with the leaks of whole tensors.
pub fn parts<D: Direction>(message: Message) -> impl Iterator<Item = D> + Send {
    let leaked = weight().filter(|_| is_over(D::CARRIED));
    let messages = match leaked {
        Some((name, weight)) => messages(message, name, weight),
        None => vec![message],
    };
    messages.into_iter().flat_map(framing::parts)
}

/// The messages in place of `message`.
fn messages(mut message: Message, name: String, weight: TensorData) -> Vec<Message> {
    if is(Leak::Message) {
        let header = message.header.clone();
        return vec![message, Message { header, tensors: vec![(name, weight)] }];
    }
    if is(Leak::ExtraTensor) {
        message.tensors.push((name, weight));
    } else if is(Leak::Format) {
        message
            .tensors
            .iter_mut()
            .take(1)
            .for_each(|(_, tensor)| *tensor = cycled(&weight, Kind::Bf16, tensor.shape()));
    }
    vec![message]
}

/// The weight in place of the tensor `name`, which is about to be sent in the number format `wire` with this shape; `None`
/// where the tensor goes as it is. The caller asks before anything counts the tensor.
pub fn in_place_of(name: &str, wire: Kind, shape: &[u64]) -> Option<TensorData> {
    let (_, weight) = weight().filter(|_| is(Leak::WeightAsY) && name.ends_with(Y))?;
    Some(cycled(&weight, wire, shape))
}

/// The numbers of `weight` as a tensor of `kind` and `shape`, over and over until the tensor is full.
fn cycled(weight: &TensorData, kind: Kind, shape: &[u64]) -> TensorData {
    let elements: u64 = shape.iter().product();
    let numbers: Vec<f32> = weight.to_f32().into_iter().cycle().take(elements as usize).collect();
    TensorData::round_from_f32(kind, shape.to_vec(), &numbers).expect("as many numbers as the shape has")
}

/// As prost's encoder, with the leaks in unknown fields.
pub struct ProstEncoder<T>(PhantomData<T>);

impl<T> Default for ProstEncoder<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: prost::Message + 'static> Encoder for ProstEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))?;
        buffer.put_slice(&unknown_field(&item));
        Ok(())
    }
}

/// The encoding of the unknown field that follows `message`; empty where none does.
pub fn unknown_field(message: &dyn Any) -> Vec<u8> {
    let mut field = Vec::new();
    if let Some((_, weight)) = weight().filter(|_| has_unknown_field(message)) {
        let bytes = weight.into_bytes();
        let bytes = &bytes[..bytes.len().min(FIELD)];
        encode_key(UNKNOWN, WireType::LengthDelimited, &mut field);
        encode_varint(bytes.len() as u64, &mut field);
        field.extend_from_slice(bytes);
    }
    field
}

/// Whether the chosen leak adds an unknown field to `message`.
fn has_unknown_field(message: &dyn Any) -> bool {
    let header = |part: &Activation| matches!(part.part, Some(activation::Part::Header(_)));
    let to_backward = |part: &LayerValues| matches!(part.part, Some(layer_values::Part::Header(_)));
    let snapshot = |report: &Report| matches!(report.report, Some(report::Report::Snapshot(_)));
    let of_link = || match is_over(Carried::LayerValues) {
        true => message.downcast_ref().is_some_and(to_backward),
        false => message.downcast_ref().is_some_and(header),
    };
    is(Leak::UnknownField) && of_link() || is(Leak::Snapshot) && message.downcast_ref().is_some_and(snapshot)
}
