//! Domain types out of generated ones, checked, and back.
//!
//! A received value is checked: `TryFrom`. A value that is sent is valid already: `From`.

/// Both ways between structs and messages that have the same fields.
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

/// Both ways between enums whose variants have the same names; the wire's has one more, for none of them.
macro_rules! same_names {
    ($type:ident, $what:literal: $($variant:ident),+) => {
        impl TryFrom<wire::$type> for $type {
            type Error = ProtocolError;
            fn try_from(value: wire::$type) -> Result<Self> {
                match value {
                    $(wire::$type::$variant => Ok(Self::$variant),)+
                    wire::$type::Unspecified => Err(ProtocolError::Missing($what)),
                }
            }
        }

        impl From<$type> for wire::$type {
            fn from(value: $type) -> Self {
                match value {
                    $($type::$variant => Self::$variant,)+
                }
            }
        }
    };
}

mod control;
mod learning;
mod stage;

use crate::error::ProtocolError;
use crate::link::framing::short;
use crate::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use crate::spec::graph::Value;
use crate::spec::limits::MAX_NAME;
use crate::spec::op::bounded;
use crate::tensor::{Kind, MAX_DIMENSIONS};
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

same_names!(Kind, "number format": F32, Bf16, F16);
same_names!(Phase, "phase": Train, Evaluate);

impl TryFrom<wire::Value> for Value {
    type Error = ProtocolError;
    fn try_from(value: wire::Value) -> Result<Self> {
        let wire::Value { name, shape } = value;
        if name.len() > MAX_NAME || shape.len() >= MAX_DIMENSIONS || !bounded(&shape) {
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
        }
    }
}
