//! Domain types out of generated ones, checked, and back.
//!
//! A received value is checked: `TryFrom`. A value that is sent is valid already: `From`.

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

impl TryFrom<wire::Kind> for Kind {
    type Error = ProtocolError;
    fn try_from(kind: wire::Kind) -> Result<Self> {
        match kind {
            wire::Kind::F32 => Ok(Kind::F32),
            wire::Kind::Bf16 => Ok(Kind::Bf16),
            wire::Kind::F16 => Ok(Kind::F16),
            wire::Kind::Unspecified => Err(ProtocolError::Missing("number format")),
        }
    }
}

impl From<Kind> for wire::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::F32 => wire::Kind::F32,
            Kind::Bf16 => wire::Kind::Bf16,
            Kind::F16 => wire::Kind::F16,
        }
    }
}

impl TryFrom<wire::Phase> for Phase {
    type Error = ProtocolError;
    fn try_from(phase: wire::Phase) -> Result<Self> {
        match phase {
            wire::Phase::Train => Ok(Phase::Train),
            wire::Phase::Evaluate => Ok(Phase::Evaluate),
            wire::Phase::Unspecified => Err(ProtocolError::Missing("phase")),
        }
    }
}

impl From<Phase> for wire::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Train => wire::Phase::Train,
            Phase::Evaluate => wire::Phase::Evaluate,
        }
    }
}

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
