//! Tensors as they cross the wire: a kind, a shape and bytes that always agree.

use crate::error::ProtocolError;
use bytes::Bytes;
use half::{bf16, f16};
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
        f.write_str(match self {
            Kind::F32 => "f32",
            Kind::Bf16 => "bf16",
            Kind::F16 => "f16",
        })
    }
}

/// Bytes that a tensor of `kind` and `shape` takes, or `None` where the product overflows.
pub fn byte_len(kind: Kind, shape: &[u64]) -> Option<usize> {
    let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size))?;
    usize::try_from(elements).ok()?.checked_mul(kind.size())
}

/// A tensor's elements, row-major and little-endian; it cannot exist with a wrong length.
///
/// The bytes may lie in several pieces, as they came off the wire: a receiver copies each of them once, to where
/// it is needed.
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
        let (halves, _) = bytes.as_chunks::<2>();
        match self.kind {
            Kind::F32 => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Kind::Bf16 => halves.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            Kind::F16 => halves.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        }
    }

    /// The elements of `values` rounded to `kind` (to nearest, ties to even), as a tensor of `shape`.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] when the number of elements is not the shape's.
    pub fn round_from_f32(kind: Kind, shape: Vec<u64>, values: &[f32]) -> Result<Self, ProtocolError> {
        let bytes: Vec<u8> = match kind {
            Kind::F32 => return Self::from_f32(shape, values),
            Kind::Bf16 => values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect(),
            Kind::F16 => values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
        };
        Self::new(kind, shape, vec![bytes.into()])
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
    fn halves_survive_a_round_trip_and_floats_are_rounded_to_the_nearest() {
        for kind in [Kind::F16, Kind::Bf16] {
            let numbers: Vec<u16> = (0..=u16::MAX).collect();
            let bytes: Vec<u8> = numbers.iter().flat_map(|half| half.to_le_bytes()).collect();
            let halves = TensorData::new(kind, vec![1 << 16], vec![bytes.into()]).unwrap();
            let floats = halves.to_f32();
            let again = TensorData::round_from_f32(kind, vec![1 << 16], &floats).unwrap();
            let pairs = halves.into_bytes().into_iter().zip(again.into_bytes());
            let differ = floats
                .iter()
                .flat_map(|float| [float; 2])
                .zip(pairs)
                .find(|(float, (a, b))| a != b && !float.is_nan());
            assert_eq!(differ, None, "{kind}");
        }
        let rounded = TensorData::round_from_f32(Kind::F16, vec![3], &[65520.0, 65519.0, 2f32.powi(-26)]);
        assert_eq!(rounded.unwrap().to_f32(), [f32::INFINITY, 65504.0, 0.0]);
    }
}
