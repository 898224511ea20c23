//! Conversions between generated types and domain types.
//!
//! A receiver may get an invalid message, so it converts with `TryFrom`. A sender has valid values, so it converts
//! with `From`.

/// Conversions, in both directions, between structs and messages that have the same fields.
macro_rules! same_fields {
    ($($type:ident { $($field:ident),+ })+) => { $(
        impl From<wire::$type> for $type {
            fn from(wire::$type { $($field),+ }: wire::$type) -> Self {
                Self { $($field),+ }
            }
        }

        impl From<$type> for wire::$type {
            fn from($type { $($field),+ }: $type) -> Self {
                Self { $($field),+ }
            }
        }
    )+ };
}

/// Conversions between enumerations that have the same words on both sides. Where the wire has a word
/// `Unspecified`, a message with it is refused.
macro_rules! alike {
    ($ours:ident = $wire:path { $($word:ident),* } $(or $missing:literal)?) => {
        impl From<$ours> for $wire {
            fn from(word: $ours) -> Self {
                match word { $($ours::$word => Self::$word),* }
            }
        }

        impl TryFrom<$wire> for $ours {
            type Error = ProtocolError;
            fn try_from(word: $wire) -> Result<Self> {
                use $wire as W;
                match word {
                    $(W::$word => Ok(Self::$word),)*
                    $(W::Unspecified => Err(ProtocolError::Missing($missing)),)?
                }
            }
        }
    };
}

mod control;
mod failure;
mod kind;
mod learning;
mod ledger;
mod stage;
mod timeline;

use crate::error::{ProtocolError, short};
use crate::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use crate::spec::graph::Value;
use crate::spec::limits::MAX_TENSOR_NAME;
use crate::spec::op::bounded;
use crate::tensor::MAX_DIMENSIONS;
use crate::wire;

type Result<T> = std::result::Result<T, ProtocolError>;

fn need<T>(value: Option<T>, name: &'static str) -> Result<T> {
    value.ok_or(ProtocolError::Missing(name))
}

fn all<W, D: TryFrom<W, Error = ProtocolError>>(values: Vec<W>) -> Result<Vec<D>> {
    values.into_iter().map(D::try_from).collect()
}

fn into_all<D, W: From<D>>(values: Vec<D>) -> Vec<W> {
    values.into_iter().map(W::from).collect()
}

/// The enumeration's word for a number on the wire.
fn known<W: TryFrom<i32>>(number: i32, name: &'static str) -> Result<W> {
    W::try_from(number).map_err(|_| ProtocolError::Missing(name))
}

alike!(Phase = wire::Phase { Train, Evaluate } or "phase");

impl TryFrom<wire::Value> for Value {
    type Error = ProtocolError;
    fn try_from(value: wire::Value) -> Result<Self> {
        let wire::Value { name, shape } = value;
        if name.len() > MAX_TENSOR_NAME || shape.len() >= MAX_DIMENSIONS || !bounded(&shape) {
            let (name, shape) = (short(&name), &shape[..shape.len().min(MAX_DIMENSIONS)]);
            return Err(ProtocolError::invalid(format!(
                "no value can be named '{name}' with shape {shape:?}"
            )));
        }
        Ok(Value { name, shape })
    }
}

impl From<Value> for wire::Value {
    fn from(value: Value) -> Self {
        Self { name: value.name, shape: value.shape }
    }
}

impl TryFrom<wire::Header> for MicrobatchHeader {
    type Error = ProtocolError;
    fn try_from(header: wire::Header) -> Result<Self> {
        let phase = Phase::try_from(header.phase())?;
        let identity = MicrobatchHeader {
            run: header.run,
            incarnation: header.incarnation,
            phase,
            id: MicrobatchId { step: header.step, index: header.index },
            minibatch: header.minibatch,
            microbatches: header.microbatches,
            offset: header.offset,
            size: header.size,
            form: header.form,
        };
        identity.check()
    }
}

impl MicrobatchHeader {
    pub(crate) fn to_wire(&self, tensors: Vec<wire::TensorHeader>) -> wire::Header {
        wire::Header {
            run: self.run.clone(),
            incarnation: self.incarnation,
            step: self.id.step,
            phase: wire::Phase::from(self.phase).into(),
            minibatch: self.minibatch,
            microbatches: self.microbatches,
            index: self.id.index,
            offset: self.offset,
            size: self.size,
            tensors,
            form: self.form,
        }
    }
}
