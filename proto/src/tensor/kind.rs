//! The number formats of tensors on the wire, and the bytes that they take.

use super::int8::{self, Block};
use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number format of a tensor's elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Word", from = "Word")]
pub enum Kind {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// The upper half of an f32.
    Bf16,
    /// IEEE 754 half precision.
    F16,
    /// Whole numbers from 0 to 255: the network's input. No configuration chooses this format, so its word is not read.
    U8,
    /// Whole numbers from −127 to 127, and one scale for each block of a sample's numbers ([`int8`]).
    Int8(Block),
}

/// The words of number formats in files.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    F32,
    Bf16,
    F16,
    #[serde(skip_deserializing)]
    U8,
    #[serde(rename = "int8_32")]
    Int8Of32,
    #[serde(rename = "int8_64")]
    Int8Of64,
    #[serde(rename = "int8_128")]
    Int8Of128,
    #[serde(rename = "int8_256")]
    Int8Of256,
    #[serde(rename = "int8_512")]
    Int8Of512,
    #[serde(rename = "int8_1024")]
    Int8Of1024,
}

impl From<Kind> for Word {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::F32 => Word::F32,
            Kind::Bf16 => Word::Bf16,
            Kind::F16 => Word::F16,
            Kind::U8 => Word::U8,
            Kind::Int8(Block::Of32) => Word::Int8Of32,
            Kind::Int8(Block::Of64) => Word::Int8Of64,
            Kind::Int8(Block::Of128) => Word::Int8Of128,
            Kind::Int8(Block::Of256) => Word::Int8Of256,
            Kind::Int8(Block::Of512) => Word::Int8Of512,
            Kind::Int8(Block::Of1024) => Word::Int8Of1024,
        }
    }
}

impl From<Word> for Kind {
    fn from(word: Word) -> Self {
        match word {
            Word::F32 => Kind::F32,
            Word::Bf16 => Kind::Bf16,
            Word::F16 => Kind::F16,
            Word::U8 => Kind::U8,
            Word::Int8Of32 => Kind::Int8(Block::Of32),
            Word::Int8Of64 => Kind::Int8(Block::Of64),
            Word::Int8Of128 => Kind::Int8(Block::Of128),
            Word::Int8Of256 => Kind::Int8(Block::Of256),
            Word::Int8Of512 => Kind::Int8(Block::Of512),
            Word::Int8Of1024 => Kind::Int8(Block::Of1024),
        }
    }
}

impl Kind {
    /// Bytes of one value of `numbers` numbers in one sample. The product saturates.
    pub const fn bytes(self, numbers: u64) -> u64 {
        match self {
            Kind::F32 => numbers.saturating_mul(4),
            Kind::Bf16 | Kind::F16 => numbers.saturating_mul(2),
            Kind::U8 => numbers,
            Kind::Int8(block) => numbers.saturating_add(int8::scales(block, numbers).saturating_mul(4)),
        }
    }

    /// The number format of the logits and of their error on links in this format. Int8 leaves them in f32: they are
    /// few, and the loss is computed from them.
    #[must_use]
    pub const fn at_loss(self) -> Self {
        match self {
            Kind::Int8(_) => Kind::F32,
            other => other,
        }
    }

    /// The largest number of the format. A block of [`Kind::Int8`] has any scale, and its largest number must be one of
    /// f32 once it is multiplied out.
    pub const fn largest(self) -> f32 {
        match self {
            Kind::F32 => f32::MAX,
            Kind::Bf16 => bf16::MAX.to_f32_const(),
            Kind::F16 => f16::MAX.to_f32_const(),
            Kind::U8 => 255.0,
            Kind::Int8(_) => f32::MAX.next_down(),
        }
    }

    /// Whether the format has `value`, once it is rounded: whether it stays finite, and in U8 within 0 and 255.
    pub fn holds(self, value: f32) -> bool {
        match self {
            Kind::F32 => value.is_finite(),
            Kind::Bf16 => bf16::from_f32(value).is_finite(),
            Kind::F16 => f16::from_f32(value).is_finite(),
            Kind::U8 => (0.0..=255.0).contains(&value.round_ties_even()),
            Kind::Int8(_) => value.abs() <= self.largest(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Word::from(*self).serialize(f)
    }
}

/// Bytes that a tensor of `kind` and `shape` takes, whose first dimension is the samples, or `None` where the product
/// overflows.
pub fn byte_len(kind: Kind, shape: &[u64]) -> Option<usize> {
    let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size))?;
    let samples = shape.first().copied().unwrap_or(1);
    let of_sample = kind.bytes(elements.checked_div(samples).unwrap_or(0));
    usize::try_from(of_sample.checked_mul(samples)?).ok()
}
