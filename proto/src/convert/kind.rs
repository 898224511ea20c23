//! Conversions of number formats: on the wire, a format of 8 bits has a word for each size of its blocks.

use super::Result;
use crate::error::ProtocolError;
use crate::tensor::{Block, Kind};
use crate::wire::Kind as Wire;

impl From<Kind> for Wire {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::F32 => Wire::F32,
            Kind::Bf16 => Wire::Bf16,
            Kind::F16 => Wire::F16,
            Kind::U8 => Wire::U8,
            Kind::Int8(Block::Of32) => Wire::Int8Of32,
            Kind::Int8(Block::Of64) => Wire::Int8Of64,
            Kind::Int8(Block::Of128) => Wire::Int8Of128,
            Kind::Int8(Block::Of256) => Wire::Int8Of256,
            Kind::Int8(Block::Of512) => Wire::Int8Of512,
            Kind::Int8(Block::Of1024) => Wire::Int8Of1024,
        }
    }
}

impl TryFrom<Wire> for Kind {
    type Error = ProtocolError;
    fn try_from(kind: Wire) -> Result<Self> {
        Ok(match kind {
            Wire::Unspecified => return Err(ProtocolError::Missing("number format")),
            Wire::F32 => Kind::F32,
            Wire::Bf16 => Kind::Bf16,
            Wire::F16 => Kind::F16,
            Wire::U8 => Kind::U8,
            Wire::Int8Of32 => Kind::Int8(Block::Of32),
            Wire::Int8Of64 => Kind::Int8(Block::Of64),
            Wire::Int8Of128 => Kind::Int8(Block::Of128),
            Wire::Int8Of256 => Kind::Int8(Block::Of256),
            Wire::Int8Of512 => Kind::Int8(Block::Of512),
            Wire::Int8Of1024 => Kind::Int8(Block::Of1024),
        })
    }
}
