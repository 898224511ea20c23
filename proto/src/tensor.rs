//! Tensors as they cross the wire: a kind, a shape and bytes that always agree.

use crate::error::ProtocolError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// The most dimensions of a tensor on the wire.
pub const MAX_DIMENSIONS: usize = 8;

/// The number format of a tensor's elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// IEEE 754 single precision.
    #[default]
    F32,
    /// The upper half of an f32.
    Bf16,
    /// IEEE 754 half precision.
    F16,
}

impl Kind {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Kind::F32 => 4,
            Kind::Bf16 | Kind::F16 => 2,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Bytes that a tensor of `kind` and `shape` takes, or `None` where the product overflows.
pub fn byte_len(kind: Kind, shape: &[u64]) -> Option<usize> {
    let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size))?;
    usize::try_from(elements).ok()?.checked_mul(kind.size())
}

/// A tensor's elements, row-major and little-endian; it cannot exist with a wrong length.
///
/// The bytes may lie in several pieces, as they came off the wire: whoever needs them in one place
/// copies them once, to where they are needed.
#[derive(Clone, Debug)]
pub struct TensorData {
    kind: Kind,
    shape: Vec<u64>,
    pieces: Vec<Bytes>,
}

impl TensorData {
    /// A tensor of `kind` and `shape` out of `pieces`, in order.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the pieces do not add up to the shape's bytes.
    pub fn new(kind: Kind, shape: Vec<u64>, pieces: Vec<Bytes>) -> Result<Self, ProtocolError> {
        let have: usize = pieces.iter().map(Bytes::len).sum();
        match byte_len(kind, &shape) {
            Some(want) if want == have && shape.len() <= MAX_DIMENSIONS => Ok(Self { kind, shape, pieces }),
            _ => Err(ProtocolError::invalid(format!(
                "{have} bytes do not make a {kind} tensor of shape {shape:?}"
            ))),
        }
    }

    /// An f32 tensor of `shape` from its elements.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the number of elements is not the shape's.
    pub fn from_f32(shape: Vec<u64>, elements: &[f32]) -> Result<Self, ProtocolError> {
        let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        Self::new(Kind::F32, shape, vec![bytes.into()])
    }

    /// The number format.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The size of every dimension; the first is the number of samples.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The bytes, in order, in as many pieces as they lie.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes in one piece; copied only where they lie in several.
    pub fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            1 => self.pieces.remove(0),
            _ => self.pieces.concat().into(),
        }
    }

    /// How many bytes there are in all.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as f32, whatever the kind.
    pub fn to_f32(&self) -> Vec<f32> {
        let bytes: Vec<u8> = self.pieces.concat();
        let halves = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        match self.kind {
            Kind::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            Kind::Bf16 => halves().map(|h| f32::from_bits(u32::from(h) << 16)).collect(),
            Kind::F16 => halves().map(f16_to_f32).collect(),
        }
    }

    /// The elements of `values` rounded to `kind` (to nearest, ties to even), as a tensor of `shape`.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the number of elements is not the shape's.
    pub fn round_from_f32(kind: Kind, shape: Vec<u64>, values: &[f32]) -> Result<Self, ProtocolError> {
        let halves =
            |round: fn(f32) -> u16| values.iter().flat_map(|v| round(*v).to_le_bytes()).collect::<Vec<u8>>();
        match kind {
            Kind::F32 => Self::from_f32(shape, values),
            Kind::Bf16 => Self::new(kind, shape, vec![halves(f32_to_bf16).into()]),
            Kind::F16 => Self::new(kind, shape, vec![halves(f32_to_f16).into()]),
        }
    }

    /// The same elements in number format `kind`; nothing is copied where they are so already.
    ///
    /// # Errors
    /// None in practice: the length is right by construction.
    pub fn to_kind(self, kind: Kind) -> Result<Self, ProtocolError> {
        if self.kind == kind {
            return Ok(self);
        }
        Self::round_from_f32(kind, self.shape.clone(), &self.to_f32())
    }

    /// XXH3-64 of the bytes.
    pub fn checksum(&self) -> u64 {
        let mut hash = Xxh3::new();
        for piece in &self.pieces {
            hash.update(piece);
        }
        hash.digest()
    }
}

fn f16_to_f32(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(half >> 10 & 0x1f);
    let fraction = f32::from(half & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2f32.powi(exponent - 15),
    }
}

fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    let to_even = 0x7fff + (bits >> 16 & 1);
    (bits.wrapping_add(to_even) >> 16) as u16
}

/// Rounds in units of the half's last place, so that the usual f32 rounding does the ties.
fn f32_to_f16(value: f32) -> u16 {
    let sign = (value.to_bits() >> 16 & 0x8000) as u16;
    let size = value.abs();
    if value.is_nan() {
        return sign | 0x7e00;
    }
    let exponent = ((size.to_bits() >> 23) as i32 - 127).max(-14);
    let units = (size / 2f32.powi(exponent - 10)).round_ties_even();
    if exponent > 15 || (exponent == 15 && units >= 2048.0) {
        return sign | 0x7c00;
    }
    // A carry out of the fraction is a carry into the exponent, which is what rounding up means.
    sign | (((exponent + 14) as u16) << 10).wrapping_add(units as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_of_the_wrong_length_cannot_exist() {
        let piece = Bytes::from(vec![0; 12]);
        assert!(TensorData::new(Kind::F32, vec![3], vec![piece.clone()]).is_ok());
        for shape in [vec![4], vec![2], vec![u64::MAX, 4], vec![1; 9], vec![1 << 40, 1 << 40]] {
            assert!(TensorData::new(Kind::F32, shape, vec![piece.clone()]).is_err());
        }
    }

    #[test]
    fn halves_survive_a_round_trip() {
        for half in 0..=u16::MAX {
            let value = f16_to_f32(half);
            if !value.is_nan() {
                assert_eq!(f32_to_f16(value), half, "{value}");
            }
            let brain = f32::from_bits(u32::from(half) << 16);
            if !brain.is_nan() {
                assert_eq!(f32_to_bf16(brain), half);
            }
        }
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_f16(65519.0), 0x7bff);
        assert_eq!(f32_to_f16(2f32.powi(-26)), 0);
    }
}
